import { beforeEach, describe, expect, it } from 'vitest';
import type { AdapterReport, ComputeReport, LoadedModel } from '../../contract/engine-api.ts';
import { computeKind, computeStatus, computeText, lacksGpu, otherGpuHint } from './compute.ts';
import { computeProblems, lastLoaded, loaded, probed } from './models.ts';
import { DEFAULT_SETTINGS, settings } from './settings.ts';

const adapter = { vendor: 'amd', architecture: 'rdna-3', description: '', software: false } as AdapterReport;
const software = { vendor: 'google', description: 'SwiftShader', software: true } as AdapterReport;
const modelOn = (compute: ComputeReport): LoadedModel => ({ compute }) as LoadedModel;
const noWebGpu = { code: 'webgpu-unsupported', message: 'This browser has no WebGPU.', remedy: '' } as const;

beforeEach(() => {
  settings.value = DEFAULT_SETTINGS;
  probed.value = loaded.value = lastLoaded.value = undefined;
});

describe('computeText', () => {
  it.each<[string, ComputeReport, AdapterReport | undefined]>([
    ['Computing on the GPU (amd rdna-3)', { kind: 'gpu', reason: 'gpu' }, adapter],
    ['Computing on the GPU (amd rdna-3), as you chose', { kind: 'gpu', reason: 'requested' }, adapter],
    ['Computing on the GPU', { kind: 'gpu', reason: 'gpu' }, undefined],
    [
      'Computing on a software GPU, which is slow (SwiftShader), as you chose',
      { kind: 'gpu', reason: 'requested' },
      software,
    ],
    ['Computing on the CPU with 2 threads, as you chose', { kind: 'cpu', reason: 'requested', threads: 2 }, adapter],
    [
      'Computing on the CPU with 2 threads, because the only GPU here is software, which is slower',
      { kind: 'cpu', reason: 'software-gpu', threads: 2 },
      software,
    ],
    [
      'Computing on the CPU with 1 thread, because the browser offers no GPU',
      { kind: 'cpu', reason: 'no-gpu', threads: 1 },
      undefined,
    ],
    [
      'Computing on the CPU with 8 threads, because the GPU failed twice',
      { kind: 'cpu', reason: 'gpu-failed', threads: 8 },
      adapter,
    ],
    [
      'Computing on the CPU with 2 threads, because this GPU (amd rdna-3) computes wrong values with this browser and driver',
      { kind: 'cpu', reason: 'gpu-wrong-values', threads: 2 },
      adapter,
    ],
  ])('%s', (text, compute, device) => {
    expect(computeText(compute, device, undefined)).toBe(text);
  });

  it('names the cause if there is no GPU', () => {
    const compute = { kind: 'cpu', reason: 'no-gpu', threads: 2 } as const;
    expect(computeText(compute, undefined, 'webgpu-unsupported')).toContain('because this browser has no WebGPU');
    expect(computeText(compute, undefined, 'webgpu-no-adapter')).toContain('because the browser offers no GPU');
  });
});

describe('otherGpuHint', () => {
  const windows = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64)';

  it('says how to choose the other GPU where Windows may have picked the slower of two', () => {
    expect(otherGpuHint(adapter, windows)).toContain('High performance');
    expect(otherGpuHint({ ...adapter, vendor: 'intel' }, windows)).toContain('Graphics');
  });

  it('names the other GPU if the browser reports two', () => {
    const two = { ...adapter, vendor: 'nvidia', other: 'intel gen-12lp' };
    expect(otherGpuHint(two, windows)).toMatch(/another GPU \(intel gen-12lp\).*System, Display, Graphics/);
    expect(otherGpuHint(two, 'Mozilla/5.0 (X11; Linux x86_64)')).toMatch(/\(intel gen-12lp\).*system's graphics/);
  });

  it('says nothing elsewhere', () => {
    expect(otherGpuHint(adapter, 'Mozilla/5.0 (X11; Linux x86_64)')).toBeUndefined();
    expect(otherGpuHint({ ...adapter, vendor: 'nvidia' }, windows)).toBeUndefined();
    expect(otherGpuHint(software, windows)).toBeUndefined();
    expect(otherGpuHint(undefined, windows)).toBeUndefined();
  });
});

describe('computeKind', () => {
  it('is the choice of the user, else that of the engine', () => {
    expect(computeKind.value).toBe('gpu'); // nothing is known yet
    probed.value = { automatic: { kind: 'cpu', reason: 'no-gpu' }, gpuError: noWebGpu };
    expect(computeKind.value).toBe('cpu');
    settings.value = { ...DEFAULT_SETTINGS, compute: 'gpu' };
    expect(computeKind.value).toBe('gpu');
  });

  it('stays with the CPU after the GPU failed, but not after the user tried the CPU', () => {
    probed.value = { automatic: { kind: 'gpu', reason: 'gpu' } };
    lastLoaded.value = modelOn({ kind: 'cpu', reason: 'gpu-failed' });
    expect(computeKind.value).toBe('cpu');
    lastLoaded.value = modelOn({ kind: 'cpu', reason: 'requested' });
    expect(computeKind.value).toBe('gpu');
  });
});

it('hints at a GPU only if the browser offers none', () => {
  loaded.value = modelOn({ kind: 'cpu', reason: 'software-gpu', threads: 2 });
  expect(lacksGpu.value).toBe(false);
  probed.value = { automatic: { kind: 'cpu', reason: 'no-gpu' }, gpuError: noWebGpu };
  loaded.value = modelOn({ kind: 'cpu', reason: 'no-gpu', threads: 2 });
  expect(lacksGpu.value).toBe(true);
  expect(computeStatus.value).toBe('Computing on the CPU with 2 threads, because this browser has no WebGPU');
});

it('loads no model over http, because it could not be stored', () => {
  const insecure = { code: 'webgpu-insecure-context', message: 'Not https.', remedy: '' } as const;
  probed.value = { gpuError: insecure, automatic: { kind: 'cpu', reason: 'no-gpu' } };
  expect(computeProblems.value).toEqual([insecure]);
});

it('lists both causes if nothing can compute, and none otherwise', () => {
  const noSimd = { code: 'wasm-unsupported', message: 'WebAssembly is blocked.', remedy: '' } as const;
  expect(computeProblems.value).toEqual([]);
  probed.value = { gpuError: noWebGpu, cpuError: noSimd };
  expect(computeProblems.value).toEqual([noWebGpu, noSimd]);
  probed.value = { gpuError: noWebGpu, automatic: { kind: 'cpu', reason: 'no-gpu' } };
  expect(computeProblems.value).toEqual([]);
});
