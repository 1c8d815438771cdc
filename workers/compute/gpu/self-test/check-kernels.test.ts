/** When the self-test runs, what it remembers, and which kernels it compiles. */
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { SYNTH_PRESETS } from '../../../synth/presets.ts';
import { FakeDevice, stubWebGpuConstants } from '../fake-device-testing.ts';
import type { Gpu } from '../open-gpu.ts';
import { planKernels } from '../plan-kernels.ts';
import { type StoredModel, storeModel } from '../stored-model-testing.ts';
import { defaultKernels, KERNEL_FAMILIES, type KernelChoice } from '../variants/kernel-variants.ts';
import { CheckBuffers } from './check.ts';
import { checkKernels } from './check-kernels.ts';
import { checkGroups, findWrongKernel, subjectOf } from './self-test.ts';

// The fake device computes nothing.
vi.mock('./self-test.ts', async (original) => ({
  ...(await original<typeof import('./self-test.ts')>()),
  findWrongKernel: vi.fn(async () => undefined),
}));
const find = vi.mocked(findWrongKernel);

let stored: StoredModel;

beforeAll(async () => {
  stored = await storeModel(SYNTH_PRESETS.tiny, { context: 128 });
});

beforeEach(stubWebGpuConstants);
afterEach(() => {
  vi.unstubAllGlobals();
  find.mockReset();
});

const load = (gpu: Gpu) => stored.loadModel(gpu);

describe('checkKernels', () => {
  it('runs once per set of kernels', async () => {
    const gpu = { ...new FakeDevice(1e9).gpu, checksKernels: true };
    (await load(gpu)).destroy();
    (await load(gpu)).destroy();
    expect(find).toHaveBeenCalledTimes(1);
    (await load({ ...gpu, kernels: { ...gpu.kernels, batch: 'tiled-64x64' } })).destroy();
    expect(find).toHaveBeenCalledTimes(2);
  });

  it('fails with what is wrong, and asks again at the next load', async () => {
    const gpu = { ...new FakeDevice(1e9).gpu, checksKernels: true };
    find.mockResolvedValueOnce({ name: 'attention', family: 'attention' });
    await expect(load(gpu)).rejects.toMatchObject({
      code: 'gpu-wrong-values',
      message: expect.stringMatching(/^This GPU computes wrong values \(attention\)/),
    });
    (await load(gpu)).destroy();
    expect(find).toHaveBeenCalledTimes(2);
  });

  it('does not run on software adapters', async () => {
    await load(new FakeDevice(1e9).gpu);
    expect(find).not.toHaveBeenCalled();
  });

  describe('with little memory', () => {
    /** A loaded model whose kernels are checked, and what the check found, with so many bytes of memory left. */
    async function checkWith(bytes: number) {
      const device = new FakeDevice(1e9);
      device.readsBack = true;
      const { model } = await load(device.gpu);
      const gpu = { ...device.gpu, checksKernels: true };
      const remember = vi.spyOn(gpu.memory, 'set');
      const { findWrongKernel: real } = await vi.importActual<typeof import('./self-test.ts')>('./self-test.ts');
      find.mockImplementation(real);
      const before = device.used;
      device.capacity = before + bytes;
      const found = await checkKernels(gpu, model).catch((error: Error) => error);
      expect(remember).not.toHaveBeenCalled();
      const constants = [...device.live].filter(({ label }) => label.startsWith('constants '));
      expect(device.used - constants.length * 256).toBeLessThanOrEqual(before);
      // The rows of a product are the first word of its shape.
      return { found, few: constants.some(({ label }) => label.startsWith('constants 40,')) };
    }

    // This device computes zeros, so whatever is checked first is wrong.
    const WRONG = { name: expect.stringContaining('matrices in') };

    it('checks the operations one after the other, with fewer rows', async () => {
      expect(await checkWith(1e8)).toEqual({ found: expect.objectContaining(WRONG), few: false });
      expect(await checkWith(1e5)).toEqual({ found: expect.objectContaining(WRONG), few: true });
    });

    it('fails instead of computing with kernels that were not checked', async () => {
      const { found } = await checkWith(0);
      expect(found).toMatchObject({ code: 'gpu-out-of-memory' });
    });
  });
});

describe('the pipelines of the self-test', () => {
  it.each([
    ['GPUs', defaultKernels(false)],
    ['GPUs, fused', { ...defaultKernels(false), between: 'fused' as const }],
    ['GPUs, others', { ...defaultKernels(false), vector: 'staged-64x4', batch: 'tiled-32x32' } as const],
    ['software adapters', defaultKernels(true)],
  ])('are among those of the model: %s', async (_name, kernels) => {
    const { device, ...gpu } = new FakeDevice(1e9).gpu;
    const { model } = await load({ ...gpu, device, kernels });
    const buffers = new CheckBuffers(device);
    const own = gpu.pipelines.plan(() => {
      for (const { record } of checkGroups(subjectOf(model)).flatMap((create) => create(buffers))) record();
    });
    const needed = gpu.pipelines.plan(() => planKernels(model));
    expect(own.size).toBeGreaterThan(12);
    expect([...own.keys()].filter((key) => !needed.has(key))).toEqual([]);
    // Whatever the model computes with was checked, in some size.
    const checked = new Set([...own.values()].map(({ kernel }) => kernel.name));
    expect([...needed.values()].map(({ kernel }) => kernel.name).filter((name) => !checked.has(name))).toEqual([]);
  });

  it('change with the variant of the family that a check names, and with no other', async () => {
    const standard = defaultKernels(false);
    const others: KernelChoice = {
      vector: 'staged-64x4',
      few: 'staged',
      batch: 'tiled-32x32',
      attention: 'steps',
      between: 'separate',
      sampler: 'blocks',
    };
    const checksOf = async (kernels: KernelChoice) => {
      const { device, ...gpu } = new FakeDevice(1e9).gpu;
      const { model } = await load({ ...gpu, device, kernels });
      const buffers = new CheckBuffers(device);
      return checkGroups(subjectOf(model)).flatMap((create) =>
        create(buffers).map(({ family, record }) => ({
          family,
          pipelines: [...gpu.pipelines.plan(() => void record()).keys()].join(),
        })),
      );
    };
    const before = await checksOf(standard);
    for (const family of KERNEL_FAMILIES) {
      const after = await checksOf({ ...standard, [family]: others[family] });
      const changed = before.filter(({ pipelines }, index) => pipelines !== after[index].pipelines);
      expect(changed.length).toBeGreaterThan(0);
      expect(changed).toEqual(before.filter((check) => check.family === family));
    }
  });
});
