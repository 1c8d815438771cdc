/** The way of uploads that an adapter gets, and the memory that it takes. On a GPU that computes nothing. */
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { SYNTH_PRESETS } from '../../../synth/presets.ts';
import { FakeDevice, stubWebGpuConstants } from '../fake-device-testing.ts';
import { type StoredModel, storeModel } from '../stored-model-testing.ts';
import { chooseUploads } from './choose-uploads.ts';
import { UploadRing } from './upload-ring.ts';
import { ringShape } from './uploads.ts';

beforeEach(stubWebGpuConstants);
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

const stagingOf = (device: FakeDevice) => [...device.live].filter(({ label }) => label === 'staging');

describe('the trial', () => {
  /** A device on whose clock a written byte takes `write` ms, and a copied one `copy`. */
  function timedGpu(write: number, copy: number) {
    const device = new FakeDevice(1e9);
    let clock = 0;
    device.onWrite = (bytes) => {
      clock += bytes * write;
    };
    device.onCopy = (bytes) => {
      clock += bytes * copy;
    };
    const { uploads: _, ...gpu } = device.gpu;
    return { device, gpu, choose: () => chooseUploads(gpu, () => clock), spent: () => clock };
  }

  it.each([
    ['ring', 2, 1],
    ['write', 1, 2],
    ['write', 1, 0.99],
  ] as const)('chooses %s if a written byte takes %d, and a copied one %d', async (way, write, copy) => {
    const { device, gpu, choose, spent } = timedGpu(write, copy);
    expect(await choose()).toBe(way);
    expect(await gpu.memory.get('uploads')).toBe(way);
    expect(device.used).toBe(0);
    const before = spent();
    expect(await choose()).toBe(way); // remembered
    expect(spent()).toBe(before);
    expect(await chooseUploads({ ...gpu, uploads: 'ring' })).toBe('ring');
  });

  it('chooses writeBuffer if it fails, and remembers nothing', async () => {
    const { device, gpu, choose } = timedGpu(2, 1);
    vi.spyOn(device.queue, 'onSubmittedWorkDone').mockRejectedValueOnce(new Error('lost'));
    expect(await choose()).toBe('write');
    expect(device.used).toBe(0);
    device.capacity = 1e6;
    expect(await choose()).toBe('write');
    expect(device.used).toBe(0);
    expect(await gpu.memory.get('uploads')).toBeUndefined();
  });

  it('ignores what another version has remembered', async () => {
    const { gpu, choose } = timedGpu(2, 1);
    await gpu.memory.set('uploads', 'zeppelin');
    expect(await choose()).toBe('ring');
  });
});

describe('the shape of a ring', () => {
  it.each([1, 5.3, 16, 17, 20, 31, 32, 33, 40, 95, 180, 1000])('has room for what fits of records of %d MiB', (mib) => {
    const record = Math.floor((mib * 2 ** 20) / 4) * 4 - 4;
    for (const maxBufferSize of [2 ** 28, 10 * 2 ** 20 + 2]) {
      const { count, stagingBytes } = ringShape(record, maxBufferSize);
      expect(stagingBytes % 4).toBe(0);
      expect(stagingBytes).toBeLessThanOrEqual(Math.min(16 * 2 ** 20, maxBufferSize));
      expect(count * stagingBytes).toBeLessThanOrEqual(128 * 2 ** 20);
      const records = count / Math.ceil(record / stagingBytes);
      if (4 * record <= 128 * 2 ** 20) expect(records).toBe(4);
      else expect(count * stagingBytes).toBeGreaterThan(112 * 2 ** 20);
      // What a record leaves empty of its buffers.
      expect(stagingBytes * Math.ceil(record / stagingBytes) - record).toBeLessThan(512);
    }
  });
});

describe('a model', () => {
  let stored: StoredModel;
  beforeAll(async () => {
    stored = await storeModel({ ...SYNTH_PRESETS.tiny, layers: 2, feedForwardLength: 4096 }, { context: 64 });
  });

  it('has less memory for experts by that of its ring, and frees both', async () => {
    const whole = await stored.load(new FakeDevice(1e9).gpu);
    const gpuBudgetBytes = whole.memory().gpuBytes;
    const slots: number[] = [];
    for (const uploads of ['write', 'ring'] as const) {
      const device = new FakeDevice(1e9);
      const compute = await stored.load({ ...device.gpu, uploads }, { gpuBudgetBytes });
      const staging = stagingOf(device).reduce((sum, { size }) => sum + size, 0);
      expect(staging > 0).toBe(uploads === 'ring');
      expect(compute.memory().gpuBytes).toBeLessThanOrEqual(gpuBudgetBytes);
      // What the report leaves out belongs to the device: constants, and one small readback.
      expect(device.used - compute.memory().gpuBytes).toBeLessThan(1e5);
      slots.push(compute.slots);
      compute.destroy();
      expect(stagingOf(device)).toEqual([]);
    }
    expect(slots[0]).toBe(16);
    expect(slots[1]).toBeGreaterThan(4);
    expect(slots[1]).toBeLessThan(16);
  });

  /** The smallest budget without a ring, rounded up as the error says it. */
  async function leastBudget(): Promise<number> {
    const error = await stored.load(new FakeDevice(1e9).gpu, { gpuBudgetBytes: 1 }).catch((e) => e);
    return Number(/Raise the GPU budget to (\d+) MB/.exec(error.remedy)?.[1]) * 1e6;
  }

  /** Loads a model that has a ring unless there is no room for it. */
  async function loadWithRing(device: FakeDevice, request: { gpuBudgetBytes?: number } = {}) {
    const compute = await stored.load({ ...device.gpu, uploads: 'ring' }, request);
    const { slots } = compute;
    const { gpuBytes } = compute.memory();
    const ringBytes = stagingOf(device).reduce((sum, { size }) => sum + size, 0);
    compute.destroy();
    return { slots, gpuBytes, ringBytes };
  }

  it('gives up its ring for a budget that has no room for both, and for no other', async () => {
    const gpuBudgetBytes = await leastBudget();
    const small = await loadWithRing(new FakeDevice(1e9), { gpuBudgetBytes });
    expect(small).toMatchObject({ ringBytes: 0, slots: 2 });
    expect(small.gpuBytes).toBeLessThanOrEqual(gpuBudgetBytes);
    const rejected = loadWithRing(new FakeDevice(1e9), { gpuBudgetBytes: gpuBudgetBytes - 1e6 });
    await expect(rejected).rejects.toMatchObject({ remedy: expect.stringContaining(`${gpuBudgetBytes / 1e6} MB or`) });
    const { ringBytes } = await loadWithRing(new FakeDevice(1e9));
    const more = { gpuBudgetBytes: gpuBudgetBytes + ringBytes };
    expect(await loadWithRing(new FakeDevice(1e9), more)).toMatchObject({ ringBytes, slots: 2 });
  });

  it('gives up its ring before an automatic budget is too small, at once or after larger ones', async () => {
    const least = (await leastBudget()) + 1e5; // constants of the device
    expect(await loadWithRing(new FakeDevice(least))).toMatchObject({ ringBytes: 0, slots: 2 });
    const shrinking = new FakeDevice(60e6);
    shrinking.onAllocation = (label) => {
      if (label === 'rope table') shrinking.capacity = least;
    };
    expect(await loadWithRing(shrinking)).toMatchObject({ ringBytes: 0, slots: 2 });
  });

  it.each(['whole', 'in parts'])('copies each byte of its records once, by either way, read %s', async (form) => {
    const staging = { size: 0 };
    let staged = 0; // by the CPU
    const { set } = Uint8Array.prototype;
    vi.spyOn(Uint8Array.prototype, 'set').mockImplementation(function (this: Uint8Array, source, at) {
      if (this.byteLength === staging.size) staged += source.length;
      set.call(this, source, at);
    });
    const stage = vi.spyOn(UploadRing.prototype, 'stage');
    for (const uploads of ['write', 'ring'] as const) {
      staged = 0;
      const device = new FakeDevice(1e9);
      const bytes = { written: 0, copied: 0 };
      device.onWrite = (length, label) => {
        if (/ slots |^L\d|^embedding|^output/.test(label)) bytes.written += length;
      };
      device.onCopy = (length) => {
        bytes.copied += length;
      };
      const reader = form === 'whole' ? undefined : stored.inParts(100_000);
      device.onAllocation = (label, size) => {
        if (label === 'staging') staging.size = size;
      };
      const compute = await stored.load({ ...device.gpu, uploads }, {}, reader);
      expect(compute.slots).toBe(16);
      expect(staged).toBe(bytes.copied);
      expect(stage).toHaveBeenCalledTimes(uploads === 'ring' ? 16 : 0);
      expect(bytes.written + bytes.copied).toBe(stored.recordBytes);
      expect(bytes.copied > 0).toBe(uploads === 'ring');
      compute.destroy();
    }
  });

  it('loads without a ring if there is no memory for one', async () => {
    const device = new FakeDevice(1e9);
    device.onAllocation = (label) => {
      device.capacity = label === 'staging' ? 0 : 1e9;
    };
    const compute = await stored.load({ ...device.gpu, uploads: 'ring' });
    expect(compute.slots).toBe(16);
    expect(stagingOf(device)).toEqual([]);
    expect(device.badWrites).toEqual([]);
    compute.destroy();
  });

  it('whose load fails leaves no staging buffer, and the next load works', async () => {
    const device = new FakeDevice(1e9);
    const failing = stored.load({ ...device.gpu, uploads: 'ring' }, {}, stored.failing(/E7$/));
    await expect(failing).rejects.toMatchObject({ code: 'record-missing' });
    expect(stagingOf(device)).toEqual([]);
    (await stored.load({ ...device.gpu, uploads: 'ring' })).destroy();
    expect(stagingOf(device)).toEqual([]);
  });
});
