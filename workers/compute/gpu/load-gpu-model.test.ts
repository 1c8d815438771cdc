/** Loading on a GPU with too little memory, and loads that fail: nothing stays allocated. */
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { tokenId } from '../../../src/contract/ids.ts';
import { SYNTH_PRESETS } from '../../synth/presets.ts';
import { FakeDevice, stubWebGpuConstants } from './fake-device-testing.ts';
import { KvCache } from './model/kv-cache.ts';
import { type StoredModel, storeModel } from './stored-model-testing.ts';

const MB = 1e6;
let stored: StoredModel;

beforeAll(async () => {
  stored = await storeModel({ ...SYNTH_PRESETS.tiny, layers: 4, feedForwardLength: 4096 }, { context: 64 });
});

beforeEach(stubWebGpuConstants);
afterEach(() => vi.unstubAllGlobals());

const load: StoredModel['load'] = (...args) => stored.load(...args);

/** Bytes that a model holds. Constants belong to the device, which keeps them for the next model. */
const modelBytes = ({ live }: FakeDevice): number =>
  [...live].reduce((sum, { label, size }) => sum + (label.startsWith('constants ') ? 0 : size), 0);

/** A device whose memory shrinks after the probe, as if another program took it. */
function shrinkingDevice(before: number, after: number): FakeDevice {
  const device = new FakeDevice(before);
  let probed = false;
  device.onAllocation = (label) => {
    if (label === 'probe') probed = true;
    else if (probed) device.capacity = after;
  };
  return device;
}

describe('loadGpuCompute', () => {
  it('frees everything when the model is destroyed', async () => {
    const device = new FakeDevice(1000 * MB);
    const compute = await load(device.gpu);
    expect(device.used).toBeGreaterThan(40 * MB);
    expect(compute.slots).toBe(32);
    compute.destroy();
    expect(modelBytes(device)).toBe(0);
  });

  it('leaves no memory of the model before it, nor of a budget that was too large, with a browser that frees late', async () => {
    const device = new FakeDevice(60 * MB);
    device.keepsDestroyed = true;
    const { gpu } = device;
    for (let turn = 0; turn < 3; turn++) {
      const compute = await load(gpu, { gpuBudgetBytes: 50 * MB });
      expect(device.used).toBeGreaterThan(40 * MB);
      compute.destroy();
      expect(device.used).toBeLessThan(MB); // unloading frees it at once
    }
    const shrinking = shrinkingDevice(60 * MB, 36 * MB);
    shrinking.keepsDestroyed = true;
    const prompt = shrinkingDevice(60 * MB, 36 * MB);
    expect((await load(shrinking.gpu)).slots).toBe((await load(prompt.gpu)).slots);
  });

  it('loads with a smaller budget if the probe promised too much', async () => {
    const enough = await load(new FakeDevice(36 * MB).gpu);
    const device = shrinkingDevice(60 * MB, 36 * MB);
    const compute = await load(device.gpu);
    // The budget is three quarters of what was too much, so the slots are about as many as if the probe had known.
    expect(compute.slots).toBeGreaterThanOrEqual(enough.slots / 2);
    expect(compute.slots).toBeLessThan(32);
    expect(device.used).toBeLessThanOrEqual(36 * MB);
    compute.destroy();
    expect(modelBytes(device)).toBe(0);
  });

  it('says that memory ran out if even the smallest automatic budget fails, and names no budget', async () => {
    const shrinking = shrinkingDevice(60 * MB, 5 * MB);
    await expect(load(shrinking.gpu)).rejects.toMatchObject({ code: 'gpu-out-of-memory' });
    expect(modelBytes(shrinking)).toBe(0);
    const small = new FakeDevice(5 * MB);
    for (let attempt = 0; attempt < 3; attempt++) {
      await expect(load(small.gpu)).rejects.toMatchObject({
        message: expect.stringMatching(/^Only \d MB of GPU memory can be used here, but this model needs at least/),
      });
      expect(modelBytes(small)).toBe(0);
    }
  });

  it('never changes a budget from the request', async () => {
    const device = new FakeDevice(20 * MB);
    await expect(load(device.gpu, { gpuBudgetBytes: 40 * MB })).rejects.toMatchObject({ code: 'gpu-out-of-memory' });
    await expect(load(device.gpu, { gpuBudgetBytes: 1 })).rejects.toMatchObject({ code: 'gpu-budget-too-small' });
    expect(modelBytes(device)).toBe(0);
  });

  it.each([
    ['a dense record', /^output/],
    ['an expert that is loaded beforehand', /E7$/],
  ])('leaves nothing behind if %s cannot be read', async (_, key) => {
    const device = new FakeDevice(1000 * MB);
    const { gpu } = device;
    for (let attempt = 0; attempt < 3; attempt++) {
      await expect(load(gpu, {}, stored.failing(key))).rejects.toMatchObject({ code: 'record-missing' });
      expect(modelBytes(device)).toBe(0);
    }
    await new Promise((resolve) => setTimeout(resolve, 20)); // reads that were still running
    expect(device.badWrites).toEqual([]);
    expect(device.destroyed).toBe(false);
    (await load(gpu)).destroy();
  });

  it('leaves nothing behind if kernels do not compile, though experts are still being read', async () => {
    const device = new FakeDevice(1000 * MB);
    const { gpu } = device;
    device.compileError = new Error('compilation failed');
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(load(gpu)).rejects.toThrow('compilation failed');
      expect(modelBytes(device)).toBe(0);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(device.badWrites).toEqual([]);
  });

  it('leaves nothing behind if the device is lost and nothing fails, as WebGPU does from then on', async () => {
    const device = new FakeDevice(1000 * MB);
    const { gpu } = device;
    device.onWrite = (_, label) => {
      if (label.includes('slots')) device.lose();
    };
    await expect(load(gpu)).rejects.toMatchObject({ code: 'webgpu-device-lost' });
    expect(modelBytes(device)).toBe(0);
    expect(device.destroyed).toBe(true);
  });

  it('leaves nothing behind if an expert is larger than the adapter can bind', async () => {
    const device = new FakeDevice(1000 * MB);
    device.limits.maxStorageBufferBindingSize = 0.6 * MB;
    await expect(load(device.gpu)).rejects.toMatchObject({ code: 'gpu-limit' });
    expect(modelBytes(device)).toBe(0);
  });
});

describe('scoring', () => {
  it('reports that there is no memory for logits, and the model stays', async () => {
    const device = new FakeDevice(1000 * MB);
    const { gpu } = device;
    const compute = await load(gpu);
    const { used } = device;
    device.capacity = used;
    const scorer = compute.createScorer();
    const window = { tokens: [tokenId(1)], signal: new AbortController().signal, onSelectedExperts: () => {} };
    await expect(scorer.prefill(window)).rejects.toMatchObject({ code: 'gpu-out-of-memory' });
    await expect(scorer.decode(window)).rejects.toMatchObject({ code: 'gpu-out-of-memory' });
    scorer.destroy();
    expect(device.used).toBe(used);
    expect(gpu.health.failed).toBe(false);
    compute.destroy();
  });
});

describe('KvCache', () => {
  it('keeps its contents and stays as it is if there is no memory to grow', async () => {
    const shape = { layerCount: 4, kvHeadCount: 2, headDim: 64 };
    const device = new FakeDevice(1.5 * 4 * 2 * 512 * 256);
    const cache = new KvCache(device as unknown as GPUDevice, shape, 4096);
    const before = device.used;
    await expect(cache.grow(600)).rejects.toMatchObject({ code: 'gpu-out-of-memory' });
    expect(cache.capacity).toBe(512);
    device.capacity = 100 * MB;
    expect(await cache.grow(600)).toBe(true);
    expect(device.used).toBe(2 * before);
    cache.destroy();
    expect(device.used).toBe(0);
  });
});
