/** Measurements of memory that fail: nothing stays allocated, and no error scope stays open. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { FakeDevice, stubWebGpuConstants } from './fake-device-testing.ts';
import { measureCopyRates } from './memory-probe.ts';

beforeEach(stubWebGpuConstants);
afterEach(() => void vi.unstubAllGlobals());

it.each([
  ['the GPU', 1e6, false],
  ['main memory', 1e9, true],
])('finds no rate of copies if %s has too little', async (_, capacity, isMainFull) => {
  const device = new FakeDevice(capacity);
  const create = device.createBuffer.bind(device);
  vi.spyOn(device, 'createBuffer').mockImplementation((descriptor) => {
    if (isMainFull && descriptor.mappedAtCreation) throw new RangeError('createBuffer failed, size is too large');
    return create(descriptor);
  });
  const pushes = vi.spyOn(device, 'pushErrorScope');
  const pops = vi.spyOn(device, 'popErrorScope');
  expect(await measureCopyRates(device.gpu, 32e6)).toBeUndefined();
  expect(device.used).toBe(0);
  expect(pops).toHaveBeenCalledTimes(pushes.mock.calls.length);
});
