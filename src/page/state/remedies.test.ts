import { describe, expect, it } from 'vitest';
import type { ComputeKind, LoadedModel } from '../../contract/engine-api.ts';
import { type RemedyContext, remediesFor, secureAddress } from './remedies.ts';
import { DEFAULT_SETTINGS } from './settings.ts';

const loadedOn = (kind: ComputeKind): LoadedModel =>
  ({
    summary: { id: 'a' },
    compute: { kind, reason: 'requested' },
    memory: { gpuBytes: 1000e6, ramBytes: 401e6 },
  }) as LoadedModel;
const context = (changes: Partial<RemedyContext> = {}): RemedyContext => ({
  settings: DEFAULT_SETTINGS,
  lastLoaded: undefined,
  modelId: 'a',
  probed: undefined,
  ...changes,
});
const reload = { label: 'Reload model', changes: {} };

describe('remediesFor', () => {
  it('offers a reload, also with three quarters of the memory, if what computes is gone', () => {
    expect(remediesFor('webgpu-device-lost', context({ lastLoaded: loadedOn('gpu') }))).toEqual([
      reload,
      { label: 'Reload with 750 MB', changes: { gpuBudgetMegabytes: 750 } },
    ]);
    expect(remediesFor('worker-failed', context({ lastLoaded: loadedOn('cpu') }))).toEqual([
      reload,
      { label: 'Reload with 300 MB', changes: { cpuBudgetMegabytes: 300 } },
    ]);
  });

  it('offers three quarters of the memory if it ran out, starting from the budget that was set', () => {
    const settings = { ...DEFAULT_SETTINGS, gpuBudgetMegabytes: 200, cpuBudgetMegabytes: 100 };
    const lastLoaded = loadedOn('cpu');
    expect(remediesFor('gpu-out-of-memory', context({ settings, lastLoaded }))).toEqual([
      { label: 'Reload with 150 MB', changes: { gpuBudgetMegabytes: 150 } },
    ]);
    expect(remediesFor('out-of-memory', context({ settings, lastLoaded }))).toEqual([
      { label: 'Reload with 75 MB', changes: { cpuBudgetMegabytes: 75 } },
    ]);
  });

  it('offers a reload as it was if the memory is not known', () => {
    expect(remediesFor('worker-failed', context({ lastLoaded: loadedOn('gpu') }))).toEqual([reload]);
    expect(remediesFor('out-of-memory', context())).toEqual([reload]);
  });

  it('does not take the memory of another model', () => {
    const other = context({ lastLoaded: loadedOn('gpu'), modelId: 'b' });
    expect(remediesFor('webgpu-device-lost', other)).toEqual([reload]);
    expect(remediesFor('gpu-out-of-memory', other)).toEqual([reload]);
    const heldBack = { kind: 'gpu', megabytes: 400 } as const;
    expect(remediesFor('gpu-out-of-memory', { ...other, heldBack })).toEqual([reload]);
  });

  it('offers a model that ended the page as it was, or with less memory', () => {
    expect(remediesFor('load-interrupted', context({ heldBack: { kind: 'gpu', megabytes: 400 } }))).toEqual([
      reload,
      { label: 'Reload with 300 MB', changes: { gpuBudgetMegabytes: 300 } },
    ]);
    expect(remediesFor('load-interrupted', context({ heldBack: { kind: 'cpu' } }))).toEqual([reload]);
  });

  it('removes a budget that is too small', () => {
    const settings = { ...DEFAULT_SETTINGS, gpuBudgetMegabytes: 1, cpuBudgetMegabytes: 2 };
    expect(remediesFor('gpu-budget-too-small', context({ settings }))).toEqual([
      { label: 'Use automatic memory', changes: { gpuBudgetMegabytes: undefined } },
    ]);
    expect(remediesFor('ram-budget-too-small', context({ settings }))).toEqual([
      { label: 'Use automatic memory', changes: { cpuBudgetMegabytes: undefined } },
    ]);
    expect(remediesFor('ram-budget-too-small', context())).toEqual([]);
  });

  it('offers what works if the user chose what does not', () => {
    const probed = { automatic: { kind: 'cpu', reason: 'no-gpu' } } as const;
    const settings = { ...DEFAULT_SETTINGS, compute: 'gpu' } as const;
    expect(remediesFor('webgpu-unsupported', context({ settings, probed }))).toEqual([
      { label: 'Use the CPU', changes: { compute: 'auto' } },
    ]);
    const onGpu = { automatic: { kind: 'gpu', reason: 'gpu' } } as const;
    expect(
      remediesFor('wasm-unsupported', context({ settings: { ...settings, compute: 'cpu' }, probed: onGpu })),
    ).toEqual([{ label: 'Use the GPU', changes: { compute: 'auto' } }]);
    expect(remediesFor('webgpu-unsupported', context({ settings, probed: {} }))).toEqual([]);
    expect(remediesFor('webgpu-unsupported', context({ probed }))).toEqual([]);
  });

  it('offers to try again if the GPU that the user chose is absent, because it may come back', () => {
    const probed = { automatic: { kind: 'cpu', reason: 'no-gpu' } } as const;
    const settings = { ...DEFAULT_SETTINGS, compute: 'gpu' } as const;
    expect(remediesFor('webgpu-no-adapter', context({ settings, probed, modelLost: true }))).toEqual([
      { label: 'Use the CPU', changes: { compute: 'auto' } },
      reload,
    ]);
  });

  it('offers to reload the page if a worker is missing, or the storage at the start', () => {
    const page = { label: 'Reload the page', changes: {}, reloadsPage: true };
    expect(remediesFor('worker-unavailable', context())).toEqual([page]);
    expect(remediesFor('worker-unavailable', context({ modelLost: true }))).toEqual([page, reload]);
    expect(remediesFor('storage-unavailable', context({ nothingLoaded: true }))).toEqual([page]);
    expect(remediesFor('storage-unavailable', context({ nothingLoaded: true, modelLost: true }))).toEqual([reload]);
    expect(remediesFor('storage-unavailable', context())).toEqual([]);
  });

  it.each([
    'internal',
    'no-model-loaded',
    'record-missing',
    'gpu-limit',
    'webgpu-no-adapter',
    'gpu-budget-too-small',
  ] as const)('offers a reload after %s if nothing is loaded then', (code) => {
    expect(remediesFor(code, context({ modelLost: true }))).toEqual([reload]);
  });

  it('offers nothing for other errors', () => {
    expect(remediesFor('storage-full', context({ lastLoaded: loadedOn('gpu') }))).toEqual([]);
  });
});

it('knows where a page is over https unless its port is its own', () => {
  const at = (href: string) => secureAddress(new URL(href) as unknown as Location);
  expect(at('http://mixtab.test/app/#models')).toBe('https://mixtab.test/app/#models');
  expect([at('http://mixtab.test:8080/'), at('https://mixtab.test/')]).toEqual([undefined, undefined]);
});
