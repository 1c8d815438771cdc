/** Models on a GPU that is none: which kernels are compiled, and which variants are chosen. */
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { SYNTH_PRESETS } from '../../../synth/presets.ts';
import { FakeDevice, stubWebGpuConstants } from '../fake-device-testing.ts';
import type { Gpu } from '../open-gpu.ts';
import { Pacing } from '../pacing.ts';
import { type StoredModel, storeModel } from '../stored-model-testing.ts';

let stored: StoredModel;

beforeAll(async () => {
  stored = await storeModel({ ...SYNTH_PRESETS.tiny, layers: 4 }, { context: 128 });
});

beforeEach(stubWebGpuConstants);
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** What a load on that GPU has chosen, by family. */
function choicesOf(remember: { mock: { calls: [name: string, value: unknown][] } }): Record<string, unknown> {
  const facts = remember.mock.calls.map(([name, value]) => [/^kernels (\w+)/.exec(name)?.[1] ?? name, value] as const);
  expect(new Set(facts.map(([family]) => family)).size).toBe(facts.length);
  return Object.fromEntries(facts);
}

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
const FASTER = /staged-256x2|tiled-32x32/;

describe('chooseKernels', () => {
  it('uses the fastest variant of each family, and measures once per adapter', async () => {
    const device = timedDevice((pipeline) => (FAST.test(pipeline) ? 1 : 10));
    const gpu = { ...device.gpu, measureKernels: true };
    const remember = vi.spyOn(gpu.memory, 'set');
    (await load(gpu)).destroy();
    const facts = [...remember.mock.calls];
    const choice = { vector: 'staged-64x4', few: 'workgroup', batch: 'tiled-32x32', sampler: 'single' };
    expect(choicesOf(remember)).toEqual(choice);
    expect(device.pipelines.some((label) => /^expert gate\+up staged-64x4/.test(label))).toBe(true);

    const submits = vi.fn();
    device.onSubmit = submits;
    const compiled = device.pipelines.length;
    (await load(gpu)).destroy();
    expect(submits.mock.calls.flat(2)).toEqual([]);
    expect(device.pipelines.length).toBe(compiled);
    expect(remember).toHaveBeenCalledTimes(4);
    for (const [name, value] of facts) expect(await gpu.memory.get(name)).toBe(value);
  });

  it('measures a family anew for matrices of another shape, and the sampler for another vocabulary', async () => {
    const { tiny } = SYNTH_PRESETS;
    const others = {
      'matrices of experts': { ...tiny, feedForwardLength: 2 * tiny.feedForwardLength },
      vocabulary: { ...tiny, vocabularySize: tiny.vocabularySize + 64 },
    };
    const { memory } = new FakeDevice(1e9).gpu;
    const loadOther = async (model: StoredModel) => {
      const remember = vi.spyOn(memory, 'set');
      (await model.load({ ...timedDevice(() => 10).gpu, memory, measureKernels: true }, { context: 128 })).destroy();
      const families = Object.keys(choicesOf(remember));
      remember.mockRestore();
      return families;
    };
    expect(await loadOther(stored)).toEqual(['vector', 'few', 'batch', 'sampler']);
    expect(await loadOther(stored)).toEqual([]);
    const measured: Record<string, string[]> = {};
    for (const [name, preset] of Object.entries(others)) {
      measured[name] = await loadOther(await storeModel({ ...preset, layers: 2 }, { context: 128 }));
    }
    expect(measured).toEqual({ 'matrices of experts': ['vector'], vocabulary: ['sampler'] });
  });

  it('remembers nothing about a family for which the buffers of a model are too small', async () => {
    const gpu = { ...timedDevice(() => 10).gpu, measureKernels: true };
    const remember = vi.spyOn(gpu.memory, 'set');
    (await load(gpu, 32)).destroy();
    expect(Object.keys(choicesOf(remember))).toEqual(['vector', 'few', 'sampler']);
  });

  it.each([
    ['whose shader is invalid', 'invalidModules'],
    ['whose submissions are invalid', 'invalidPipelines'],
  ] as const)('leaves out a variant %s, and measures the others', async (_, kind) => {
    const device = timedDevice((pipeline) => (/staged-64x4/.test(pipeline) ? 0.1 : FASTER.test(pipeline) ? 1 : 10));
    device[kind] = /staged-64x4/;
    const gpu = { ...device.gpu, measureKernels: true };
    const remember = vi.spyOn(gpu.memory, 'set');
    (await load(gpu)).destroy();
    expect(choicesOf(remember)).toMatchObject({ vector: 'staged-256x2', batch: 'tiled-32x32' });
    expect(gpu.health.failed).toBe(false);
  });

  it.each([0, 100])('replaces the standard variant if that is invalid, with a clock of %d ms', async (step) => {
    const device = timedDevice((pipeline) => (FASTER.test(pipeline) ? 1 : 10));
    device.invalidModules = /^expert gate\+up workgroup (?!x)/; // for one input
    const gpu = { ...device.gpu, measureKernels: true, clockStepMs: step };
    const remember = vi.spyOn(gpu.memory, 'set');
    (await load(gpu)).destroy();
    const expected = step > 0 ? 'staged-32x8' : 'staged-256x2';
    expect(device.pipelines.some((label) => label.startsWith(`matmul ${expected}`))).toBe(true);
    expect(choicesOf(remember).vector).toBe(step > 0 ? undefined : expected);
    expect(gpu.health.failed).toBe(false);
  });

  it('keeps the standard variants and remembers nothing if the clock is too coarse', async () => {
    const device = timedDevice((pipeline) => (FAST.test(pipeline) ? 1 : 10));
    const gpu = { ...device.gpu, measureKernels: true, clockStepMs: 100 };
    const remember = vi.spyOn(gpu.memory, 'set');
    (await load(gpu)).destroy();
    expect(remember).not.toHaveBeenCalled();
    expect(device.pipelines.some((label) => /^expert gate\+up workgroup/.test(label))).toBe(true);
    // Others would be compiled for nothing, at each load.
    expect(device.pipelines.filter((label) => /staged|tiled|sample pick/.test(label))).toEqual([]);
  });

  it('replaces an invalid standard variant with which the speed of the GPU would be measured', async () => {
    const device = timedDevice((pipeline) => (FASTER.test(pipeline) ? 1 : 10));
    device.invalidModules = /^matmul workgroup x4/; // for several inputs
    const pacing = new Pacing({ now: () => performance.now() });
    const gpu = { ...device.gpu, measureKernels: true, pacing };
    const remember = vi.spyOn(gpu.memory, 'set');
    (await load(gpu)).destroy();
    expect(choicesOf(remember)).toMatchObject({ few: 'staged', batch: 'tiled-32x32' });
    expect(gpu.health.failed).toBe(false);
  });

  it('samples in many workgroups if that is faster', async () => {
    const device = timedDevice((pipeline) => (/^sample (rows|workgroup).*"AFTER_PICK":0/.test(pipeline) ? 50 : 1));
    const gpu = { ...device.gpu, measureKernels: true };
    const remember = vi.spyOn(gpu.memory, 'set');
    (await load(gpu)).destroy();
    expect(choicesOf(remember)).toMatchObject({ sampler: 'blocks' });
    expect(device.pipelines.some((label) => label.startsWith('sample pick'))).toBe(true);
  });

  it('keeps the standard variants if none is faster, if there is no adapter to measure, and without enough memory', async () => {
    const device = timedDevice(() => 10);
    const gpu = { ...device.gpu, measureKernels: true };
    const remember = vi.spyOn(gpu.memory, 'set');
    (await load(gpu)).destroy();
    expect(choicesOf(remember)).toEqual({
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
    const encoders = vi.spyOn(device, 'createCommandEncoder');
    const done = vi.spyOn(device.queue, 'onSubmittedWorkDone');
    done.mockResolvedValueOnce(); // before the load, for the memory of the model before
    done.mockRejectedValueOnce(new Error('lost'));
    (await load(gpu)).destroy();
    expect(remember).not.toHaveBeenCalled();
    // What the measured experts wrote must not be added to the first token.
    expect(encoders.mock.calls.map(([descriptor]) => descriptor?.label)).toContain('clear expert outputs');
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
    // Norm, router and sum are separate in prompts and fused in decode, so there are kernels for both. Matrices of the
    // same type and width share those of their products.
    expect(counts).toEqual(counts.map(() => 21));
  });
});
