/** The rate that a GPU is assumed to have before it has worked. On a GPU that computes nothing. */
import { afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { SYNTH_PRESETS } from '../../synth/presets.ts';
import { FakeDevice, stubWebGpuConstants } from './fake-device-testing.ts';
import type { Gpu } from './open-gpu.ts';
import { Pacing } from './pacing.ts';
import { slowDown } from './slow-gpu-testing.ts';
import { type StoredModel, storeModel } from './stored-model-testing.ts';

let stored: StoredModel;
beforeAll(async () => {
  stored = await storeModel(SYNTH_PRESETS.tiny, { context: 512 });
});
beforeEach(stubWebGpuConstants);
afterEach(() => vi.unstubAllGlobals());

/** Loads a model on a device of that rate; returns the assumed one. */
async function loadAt(device: FakeDevice, memory: Gpu['memory'], rate: number) {
  const slow = slowDown(device, rate, 512);
  const pacing = new Pacing({ now: slow.now });
  const { destroy } = await stored.loadModel({ ...device.gpu, memory, pacing });
  destroy();
  return { rate: pacing.dispatchCost / 100, slow };
}

it('measures a slow GPU at each load until it finds that it is none, and remembers the highest rate', async () => {
  const device = new FakeDevice(1e9);
  const { memory } = device.gpu;
  const first = await loadAt(device, memory, 1000);
  expect(first.rate).toBeGreaterThan(700);
  expect(first.rate).toBeLessThan(1300);
  const busy = await loadAt(device, memory, 10); // another program uses it, too
  expect(busy.slow.submissions.length).toBeGreaterThan(0);
  expect(busy.rate).toBe(first.rate);
  const fast = await loadAt(device, memory, 1e10);
  expect(fast.rate).toBeGreaterThan(5e8);
  const later = await loadAt(device, memory, 10);
  expect(later.slow.submissions).toEqual([]);
  expect(later.rate).toBe(fast.rate);
});

it('leaves the higher rate that another tab has measured meanwhile', async () => {
  const device = new FakeDevice(1e9);
  const { memory } = device.gpu;
  await memory.set('work rate', 4e8);
  const get = memory.get.bind(memory);
  let asked = 0;
  vi.spyOn(memory, 'get').mockImplementation(async (name) =>
    name === 'work rate' && asked++ === 0 ? undefined : get(name),
  );
  expect((await loadAt(device, memory, 1000)).rate).toBeLessThan(1300);
  expect(await memory.get('work rate')).toBe(4e8);
});

it('measures no more of a slow GPU than a submission may take', async () => {
  // The product of the tiny model takes this GPU two seconds.
  const { embeddingLength, headCount, headDim } = (await stored.load(new FakeDevice(1e9).gpu)).config;
  const rate = (embeddingLength * headCount * headDim * 64) / 2000;
  const device = new FakeDevice(1e9);
  const { slow } = await loadAt(device, device.gpu.memory, rate);
  expect(Math.max(...slow.submissions)).toBeLessThan(0.7 * 2000); // ten sixteenths
});

it('takes no slow GPU for a fast one because another program delayed single products', async () => {
  const device = new FakeDevice(1e9);
  let clock = 0;
  device.onSubmit = (calls) => {
    clock += Math.max(50_000, 5000 * calls.length); // one product takes longer than nine
  };
  const { gpu } = device;
  const pacing = new Pacing({ now: () => clock });
  (await stored.loadModel({ ...gpu, pacing })).destroy();
  expect(pacing.dispatchCost).toBeLessThan(1e5);
  expect(Number.isFinite(await gpu.memory.get('work rate'))).toBe(true);
});

it('assumes nothing of a GPU that has worked already, and measures nothing where nothing is cut', async () => {
  const pacing = new Pacing({ rate: 1000, now: () => 0 });
  await pacing.time({ cost: 1e9, count: 1, queuedAt: -1000, done: async () => {}, isWhole: async () => true });
  const learned = pacing.dispatchCost;
  pacing.assume(7);
  expect(pacing.dispatchCost).toBe(learned);
  const device = new FakeDevice(1e9);
  const submits = vi.fn();
  device.onSubmit = submits;
  (await stored.loadModel(device.gpu)).destroy();
  expect(submits.mock.calls.flatMap(([calls]) => calls)).toEqual([]);
});
