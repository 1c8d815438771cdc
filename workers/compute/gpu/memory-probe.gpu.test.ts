import { expect, it, vi } from 'vitest';
import { requestAdapter, requestDevice } from './device.ts';
import { probeGpuMemory } from './memory-probe.ts';

it('finds what it is asked for where there is more, and leaves nothing allocated', async () => {
  const device = await requestDevice(await requestAdapter());
  const created = vi.spyOn(device, 'createBuffer');
  const wanted = 600 * 2 ** 20;
  expect(await probeGpuMemory(device, wanted)).toBe(wanted);
  const buffers = created.mock.results.map(({ value }) => value as GPUBuffer);
  expect(buffers.map(({ size }) => size / 2 ** 20)).toEqual([256, 256, 88]);
  // Using a destroyed buffer is an error: they are gone.
  device.pushErrorScope('validation');
  device.queue.writeBuffer(buffers[0], 0, new Uint32Array([1]));
  expect(await device.popErrorScope()).not.toBeNull();
});

it('stops at the first step that fails', async () => {
  const device = await requestDevice(await requestAdapter());
  const create = device.createBuffer.bind(device);
  let calls = 0;
  // The software adapter's memory ends where the machine's does; a buffer beyond the limits fails in the same scope.
  vi.spyOn(device, 'createBuffer').mockImplementation((descriptor) =>
    create(++calls < 4 ? descriptor : { ...descriptor, size: device.limits.maxBufferSize + 4 }),
  );
  expect(await probeGpuMemory(device, 4e9)).toBe(3 * 256 * 2 ** 20);
});
