import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { SYNTH_PRESETS } from '../../synth/presets.ts';
import { FakeDevice, stubWebGpuConstants } from './fake-device-testing.ts';
import type { Gpu } from './open-gpu.ts';
import { Pacing } from './pacing.ts';
import { storeModel } from './stored-model-testing.ts';

beforeEach(stubWebGpuConstants);
afterEach(() => vi.unstubAllGlobals());

it('cuts prompts on a slow GPU, and measures again until it finds that it is none', async () => {
  const { loadModel } = await storeModel(SYNTH_PRESETS.tiny, { context: 512 });
  const device = new FakeDevice(1e9);
  let clock = 0;
  let dispatchMs = 0;
  const submits: string[][] = [];
  device.onSubmit = (calls) => {
    clock += dispatchMs * calls.length;
    submits.push([...calls]);
  };
  const gpu: Gpu = { ...device.gpu, pacing: new Pacing({ now: () => clock }) };
  const load = async (ms: number) => {
    dispatchMs = ms;
    submits.length = 0;
    const { model, destroy } = await loadModel(gpu);
    destroy();
    return { chunk: model.chunkTokens, measured: submits.length > 0 };
  };
  expect(await load(5000)).toEqual({ chunk: 32, measured: true });
  expect(await load(9000)).toEqual({ chunk: 32, measured: true });
  expect(await load(0.01)).toEqual({ chunk: 512, measured: true }); // another program used it before
  expect(await load(9000)).toEqual({ chunk: 512, measured: false });
  expect((await loadModel(device.gpu)).model.chunkTokens).toBeUndefined();
});

it('leaves room in the budget for the chunks of a prompt that a fast GPU takes whole', async () => {
  const { loadModel } = await storeModel(SYNTH_PRESETS.tiny, { context: 512 });
  const device = new FakeDevice(1e9);
  let clock = 0;
  device.onSubmit = (calls) => {
    clock += 5000 * calls.length;
  };
  const fast = await loadModel(device.gpu);
  const gpuBudgetBytes = fast.gpuBytes(); // all experts
  fast.destroy();
  const gpu: Gpu = { ...device.gpu, pacing: new Pacing({ now: () => clock }) };
  const { model, gpuBytes, slots } = await loadModel(gpu, { gpuBudgetBytes });
  expect(model.chunkTokens).toBe(32);
  expect(slots).toBeLessThan(fast.slots);
  await model.prefillBuffers.allocate(Array.from({ length: 512 / 32 }, () => 32));
  expect(gpuBytes()).toBeLessThanOrEqual(gpuBudgetBytes);
});

it('takes no slow GPU for a fast one for good because another program delayed single products', async () => {
  const { loadModel } = await storeModel(SYNTH_PRESETS.tiny, { context: 512 });
  const device = new FakeDevice(1e9);
  let clock = 0;
  device.onSubmit = (calls) => {
    clock += Math.max(50_000, 5000 * calls.length); // one product takes longer than nine
  };
  const gpu: Gpu = { ...device.gpu, pacing: new Pacing({ now: () => clock }) };
  const { model, destroy } = await loadModel(gpu);
  destroy();
  expect(model.chunkTokens).toBe(32);
  expect(Number.isFinite(await gpu.memory.get('work rate'))).toBe(true);
});
