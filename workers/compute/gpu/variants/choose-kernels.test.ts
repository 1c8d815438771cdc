/** Models on a GPU that is none: which kernels are compiled, and which variants are chosen. */
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { SYNTH_PRESETS } from '../../../synth/presets.ts';
import { FakeDevice, stubWebGpuConstants } from '../fake-device-testing.ts';
import type { Gpu } from '../open-gpu.ts';
import { type StoredModel, storeModel } from '../stored-model-testing.ts';
import { readChoice } from './choose-kernels.ts';
import { KERNEL_VARIANTS } from './kernel-variants.ts';

let stored: StoredModel;

beforeAll(async () => {
  stored = await storeModel({ ...SYNTH_PRESETS.tiny, layers: 4 }, { context: 128 });
}, 60_000);

beforeEach(stubWebGpuConstants);
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

const load = (gpu: Gpu, context = 128, gpuBudgetBytes?: number) =>
  stored.load(gpu, { context, ...(gpuBudgetBytes !== undefined && { gpuBudgetBytes }) });

/** A device on whose clock a call of a pipeline takes as long as `cost` says. */
function timedDevice(cost: (pipeline: string) => number): FakeDevice {
  const device = new FakeDevice(1e9);
  let clock = 0;
  device.onSubmit = (calls) => {
    for (const pipeline of calls) clock += cost(pipeline);
  };
  vi.spyOn(performance, 'now').mockImplementation(() => clock);
  return device;
}

const FAST = /staged-64x4|tiled-32x32/;

describe('chooseKernels', () => {
  it('uses the fastest variant of each family, and measures once per adapter', async () => {
    const device = timedDevice((pipeline) => (FAST.test(pipeline) ? 1 : 10));
    const gpu = { ...device.gpu, measureKernels: true };
    const remember = vi.spyOn(gpu.memory, 'set');
    (await load(gpu)).destroy();
    expect(remember).toHaveBeenCalledTimes(1);
    const [key, choice] = remember.mock.calls[0];
    expect(choice).toEqual({ vector: 'staged-64x4', few: 'workgroup', batch: 'tiled-32x32', sampler: 'single' });
    expect(device.pipelines.some((label) => /^expert gate\+up staged-64x4/.test(label))).toBe(true);

    const submits = vi.fn();
    device.onSubmit = submits;
    const compiled = device.pipelines.length;
    (await load(gpu)).destroy();
    expect(submits.mock.calls.flat(2)).toEqual([]);
    expect(device.pipelines.length).toBe(compiled);
    expect(remember).toHaveBeenCalledTimes(1);
    expect(await gpu.memory.get(key)).toEqual(choice);
  });

  it('samples in many workgroups if that is faster', async () => {
    const device = timedDevice((pipeline) => (/^sample (rows|workgroup).*"AFTER_PICK":0/.test(pipeline) ? 50 : 1));
    const gpu = { ...device.gpu, measureKernels: true };
    const remember = vi.spyOn(gpu.memory, 'set');
    (await load(gpu)).destroy();
    expect(remember.mock.calls[0][1]).toMatchObject({ sampler: 'blocks' });
    expect(device.pipelines.some((label) => label.startsWith('sample pick'))).toBe(true);
  });

  it('keeps the standard variants if none is faster, if there is no adapter to measure, and without enough memory', async () => {
    const device = timedDevice(() => 10);
    const gpu = { ...device.gpu, measureKernels: true };
    const remember = vi.spyOn(gpu.memory, 'set');
    (await load(gpu)).destroy();
    expect(remember.mock.calls[0][1]).toEqual({
      vector: 'workgroup',
      few: 'workgroup',
      batch: 'workgroup',
      sampler: 'single',
    });

    const software = timedDevice(() => 10);
    const onSoftware = { ...software.gpu, measureKernels: true };
    onSoftware.adapter = { ...onSoftware.adapter, software: true };
    const forget = vi.spyOn(onSoftware.memory, 'set');
    (await load(onSoftware)).destroy();
    expect(forget).not.toHaveBeenCalled();
  });

  it('uses the standard variants and remembers nothing if a measurement is rejected', async () => {
    const device = timedDevice(() => 1);
    const gpu = { ...device.gpu, measureKernels: true };
    const remember = vi.spyOn(gpu.memory, 'set');
    const done = vi.spyOn(device.queue, 'onSubmittedWorkDone');
    done.mockResolvedValueOnce(); // before the load, for the memory of the model before
    done.mockRejectedValueOnce(new Error('lost'));
    (await load(gpu)).destroy();
    expect(remember).not.toHaveBeenCalled();
  });
});

describe('readChoice', () => {
  const complete = { vector: 'workgroup', few: 'staged', batch: 'tiled-64x64', sampler: 'blocks' };

  it('takes only what this version writes', () => {
    expect(readChoice(complete, KERNEL_VARIANTS)).toEqual(complete);
    expect(readChoice({ ...complete, more: 1 }, KERNEL_VARIANTS)).toEqual(complete);
    for (const value of [
      undefined,
      null,
      'rows',
      [],
      {},
      { ...complete, few: 'tiled-64x64' },
      { ...complete, batch: 1 },
      { ...complete, sampler: undefined },
    ]) {
      expect(readChoice(value, KERNEL_VARIANTS)).toBeUndefined();
    }
  });
});

describe('pipelines per model', () => {
  it('depend on the matrices, not on how many slots a layer or a bank has', async () => {
    const counts: number[] = [];
    const banks: string[] = [];
    let bytes: number | undefined;
    for (const [bytesLess, bindingBytes] of [
      [0, 2 ** 30],
      [1e6, 2 ** 30],
      [0, 2e5],
    ] as const) {
      const device = new FakeDevice(1e9);
      device.limits.maxStorageBufferBindingSize = bindingBytes;
      const compute = await load(device.gpu, 128, bytes && bytes - bytesLess);
      bytes ??= compute.memory().gpuBytes;
      counts.push(device.pipelines.length);
      const gateUp = [...device.live].filter(({ label }) => label.endsWith('gate+up'));
      banks.push(gateUp.map(({ label, size }) => `${label} ${size}`).join());
      expect(new Set(device.pipelines).size).toBe(device.pipelines.length);
      compute.destroy();
    }
    expect(new Set(banks).size).toBe(banks.length);
    // Norm, router and sum are separate in prompts and fused in decode, so there are kernels for both.
    expect(counts).toEqual(counts.map(() => 25));
  });
});
