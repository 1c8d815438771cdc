import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { whole } from './dispatch.ts';
import { FakeDevice, stubWebGpuConstants } from './fake-device-testing.ts';
import { Readback } from './readback.ts';

beforeEach(stubWebGpuConstants);
afterEach(() => void vi.unstubAllGlobals());

/** Starts a readback of a few bytes. */
function start(device: FakeDevice) {
  const gpuDevice = device as unknown as GPUDevice;
  const readback = new Readback(gpuDevice);
  const source = gpuDevice.createBuffer({ size: 16, usage: 0 });
  const result = readback.submit(gpuDevice.createCommandEncoder(), [whole(source)]);
  source.destroy();
  return { readback, result };
}

it('keeps its staging buffer for the next readback, and frees it in the end', async () => {
  const device = new FakeDevice(1e6);
  device.readsBack = true;
  const { readback, result } = start(device);
  expect((await result)[0].byteLength).toBe(16);
  expect(device.used).toBe(16);
  readback.destroy();
  expect(device.used).toBe(0);
});

it('frees a staging buffer whose data arrives when the model is gone', async () => {
  const device = new FakeDevice(1e6);
  device.readsBack = true;
  const { readback, result } = start(device);
  readback.destroy();
  await result;
  expect(device.used).toBe(0);
});

it('frees a staging buffer whose data never arrives', async () => {
  const device = new FakeDevice(1e6);
  device.readsBack = true;
  const gpuDevice = device as unknown as GPUDevice;
  const create = device.createBuffer.bind(device);
  vi.spyOn(device, 'createBuffer').mockImplementation((descriptor) => ({
    ...(create(descriptor) as object),
    mapAsync: () => Promise.reject(new DOMException('lost', 'AbortError')),
  }));
  const source = { buffer: {} as GPUBuffer, offset: 0, size: 16 };
  await expect(new Readback(gpuDevice).submit(gpuDevice.createCommandEncoder(), [source])).rejects.toThrow('lost');
  expect(device.used).toBe(0);
});
