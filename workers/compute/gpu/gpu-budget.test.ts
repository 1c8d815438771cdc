/** Budgets that are measured, on fakes of GPUs: what a load uses, and what it remembers for the next one. */
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LoadRequest } from '../../../src/contract/engine-api.ts';
import { AdapterMemory } from '../../store/adapter-memory.ts';
import { SYNTH_PRESETS } from '../../synth/presets.ts';
import { FakeDevice, stubWebGpuConstants } from './fake-device-testing.ts';
import { changeHistory } from './gpu-budget.ts';
import type { Gpu } from './open-gpu.ts';
import { type StoredModel, storeModel } from './stored-model-testing.ts';

const MB = 1e6;
/** Bytes of the model with every expert. */
let whole: number;
let stored: StoredModel;

beforeAll(async () => {
  stored = await storeModel({ ...SYNTH_PRESETS.tiny, layers: 4, feedForwardLength: 4096 }, { context: 64 });
  stubWebGpuConstants();
  const compute = await load(new FakeDevice(1000 * MB).gpu);
  whole = compute.memory().gpuBytes;
  compute.destroy();
});
beforeEach(stubWebGpuConstants);
afterEach(() => vi.unstubAllGlobals());

const load = (gpu: Gpu, request: Partial<LoadRequest> = {}, failing?: RegExp) =>
  stored.load(gpu, request, failing && stored.failing(failing));

/** The GPU of a device, whose memory is measured. */
const measured = (device: FakeDevice, memory = new AdapterMemory('fake')): Gpu => ({
  ...device.gpu,
  measureMemory: true,
  memory,
});

const historyOf = (gpu: Gpu) => changeHistory(gpu, (history) => history);

/** A device that allocates anything and can use `readable` bytes at once. */
function neverRefusing(readable: number): FakeDevice {
  const device = new FakeDevice(10_000 * MB);
  device.readable = readable;
  return device;
}

describe('a measured budget', () => {
  it('is that of a device which refuses, if the driver refuses nothing but cannot use it', async () => {
    const refusing = await load(new FakeDevice(36 * MB).gpu);
    const device = neverRefusing(36 * MB);
    const gpu = measured(device);
    const compute = await load(gpu);
    expect(compute.slots).toBeLessThan(32);
    expect(compute.slots).toBeGreaterThanOrEqual(refusing.slots * 0.6);
    expect(device.used).toBeLessThanOrEqual(36 * MB);
    const { good, trying, readRate } = await historyOf(gpu);
    expect(good).toBeLessThanOrEqual(36 * MB);
    expect([trying, typeof readRate]).toEqual([undefined, 'number']);
  });

  it('is checked again once everything is allocated, within the retry', async () => {
    const device = neverRefusing(1000 * MB);
    const submits = vi.fn();
    device.onSubmit = submits;
    // Another program takes memory after the probe.
    device.onAllocation = (label) => {
      if (label === 'slot table') device.readable = 36 * MB;
    };
    const compute = await load(measured(device));
    expect(compute.slots).toBeLessThan(32);
    expect(device.used).toBeLessThanOrEqual(36 * MB);
    expect(submits).toHaveBeenCalled();
  });

  it('that the user has set is never changed, but fails while the model is loaded', async () => {
    const device = neverRefusing(36 * MB);
    await expect(load(measured(device), { gpuBudgetBytes: 45 * MB })).rejects.toMatchObject({
      code: 'gpu-out-of-memory',
    });
    expect(device.used).toBeLessThan(1 * MB);
    expect((await load(measured(device), { gpuBudgetBytes: 30 * MB })).slots).toBeGreaterThan(0);
  });

  it('is not probed again if a larger one was good before', async () => {
    const device = neverRefusing(1000 * MB);
    const gpu = measured(device);
    (await load(gpu)).destroy();
    expect((await historyOf(gpu)).good).toBeGreaterThan(whole - 0.1 * MB);
    const labels: string[] = [];
    device.onAllocation = (label) => labels.push(label);
    expect((await load(gpu)).slots).toBe(32);
    expect(labels.filter((label) => label === 'probe')).toEqual([]);
  });

  it('of a small model is not halved after the GPU failed while it computed, but the batch is', async () => {
    const memory = new AdapterMemory('fake');
    const first = measured(neverRefusing(1000 * MB), memory);
    const compute = await load(first, { context: 512 });
    const device = first.device as unknown as FakeDevice;
    void compute.sampleFirst().catch(() => {}); // is never answered
    device.lose();
    await new Promise((resolve) => setTimeout(resolve));
    const next = measured(neverRefusing(1000 * MB), memory);
    expect((await historyOf(next)).loss).toEqual({ at: expect.any(Number), batch: 256 });
    // The next load has room for no more.
    const sizes = new Map<string, number>();
    const create = next.device.createBuffer.bind(next.device);
    vi.spyOn(next.device, 'createBuffer').mockImplementation((descriptor) => {
      sizes.set(descriptor.label ?? '', descriptor.size);
      return create(descriptor);
    });
    await load(next, { context: 512 });
    expect(sizes.get('tokens')).toBe(256 * 4);
  });

  it('is limited by an earlier loss', async () => {
    const gpu = measured(neverRefusing(1000 * MB));
    await changeHistory(gpu, () => ({ loss: { at: Date.now(), budget: whole / 2 } }));
    const compute = await load(gpu);
    expect(compute.memory().gpuBytes).toBeLessThan(whole * 0.55);
    expect(compute.slots).toBeLessThan(32);
  });

  it('does not suffer from a device that was lost while it was idle', async () => {
    const gpu = measured(neverRefusing(1000 * MB));
    const compute = await load(gpu);
    (gpu.device as unknown as FakeDevice).lose();
    await new Promise((resolve) => setTimeout(resolve));
    expect((await historyOf(gpu)).loss).toBeUndefined();
    compute.destroy();
  });

  it('with which the device was lost during a load is halved, even if it was good before', async () => {
    const gpu = measured(neverRefusing(100_000 * MB));
    // So long a context that the budget is not too small to be the cause.
    const request = { context: 300_000 };
    (await load(gpu, request)).destroy();
    const { good = 0 } = await historyOf(gpu);
    expect(good).toBeGreaterThan(2 ** 30);
    const device = gpu.device as unknown as FakeDevice;
    device.onAllocation = (label) => label === 'rope table' && device.lose();
    await expect(load(gpu, request)).rejects.toMatchObject({ code: 'webgpu-device-lost' });
    const { loss } = await historyOf(gpu);
    expect(loss?.budget).toBe(Math.floor(good / 2));
  });

  it('is stored only when it has changed', async () => {
    const memory = new AdapterMemory('fake');
    const gpu = measured(neverRefusing(1000 * MB), memory);
    await changeHistory(gpu, () => ({ readRate: 1e12 }));
    const set = vi.spyOn(memory, 'set');
    await load(gpu);
    expect(set.mock.calls.length).toBeGreaterThan(0);
    set.mockClear();
    await load(gpu);
    expect(set).not.toHaveBeenCalled();
  });

  it('after a loss still lets a model run that needs more', async () => {
    const gpu = measured(neverRefusing(1000 * MB));
    await changeHistory(gpu, (history) => ({ ...history, loss: { at: Date.now(), budget: 1 } }));
    expect((await load(gpu)).slots).toBe(2);
  });

  it('that the browser did not survive is tried no more, and an ordinary error is no such case', async () => {
    const memory = new AdapterMemory('fake');
    const gpu = measured(neverRefusing(1000 * MB), memory);
    await expect(load(gpu, {}, /E7$/)).rejects.toMatchObject({ code: 'record-missing' });
    expect(await historyOf(gpu)).toEqual({ readRate: expect.any(Number) });
    const tried: (number | undefined)[] = [];
    vi.spyOn(memory, 'set').mockImplementation(async (_, value) => {
      tried.push((value as { trying?: { bytes: number } }).trying?.bytes);
      if (tried.at(-1) !== undefined) throw new Error('the tab is gone');
    });
    await expect(load(gpu)).rejects.toThrow('the tab is gone');
    expect(Math.max(...tried.map((bytes) => bytes ?? 0))).toBeGreaterThan(2 * MB);
  });
});
