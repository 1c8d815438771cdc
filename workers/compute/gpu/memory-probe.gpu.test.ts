import { expect, it, vi } from 'vitest';
import { readRateOf } from '../../experts/measured-memory.ts';
import { requestAdapter, requestDevice } from './device.ts';
import { DeviceHealth } from './errors.ts';
import { GpuMemoryPieces, probeGpuMemory } from './memory-probe.ts';
import { PipelineCache } from './pipelines.ts';

it('finds the limit if there is more memory, and frees everything', async () => {
  const device = await requestDevice(await requestAdapter());
  const created = vi.spyOn(device, 'createBuffer');
  const limit = 600 * 2 ** 20;
  expect(await probeGpuMemory(device, limit)).toBe(limit);
  const buffers = created.mock.results.map(({ value }) => value as GPUBuffer);
  expect(buffers.map(({ size }) => size / 2 ** 20)).toEqual([256, 256, 88]);
  // Using a destroyed buffer is a validation error.
  device.pushErrorScope('validation');
  device.queue.writeBuffer(buffers[0], 0, new Uint32Array([1]));
  expect(await device.popErrorScope()).not.toBeNull();
});

it('stops at the first allocation that fails', async () => {
  const device = await requestDevice(await requestAdapter());
  const create = device.createBuffer.bind(device);
  let calls = 0;
  // The software adapter would use all memory of the machine. A buffer beyond the limits fails in the same error
  // scopes.
  vi.spyOn(device, 'createBuffer').mockImplementation((descriptor) =>
    create(++calls < 4 ? descriptor : { ...descriptor, size: device.limits.maxBufferSize + 4 }),
  );
  expect(await probeGpuMemory(device, 4e9)).toBe(3 * 256 * 2 ** 20);
});

it('reads all pieces on the adapter, and reports what it does not hold', async () => {
  const device = await requestDevice(await requestAdapter());
  const gpu = { device, pipelines: new PipelineCache(device), health: new DeviceHealth(device) };
  const existing = device.createBuffer({ size: 100, usage: GPUBufferUsage.STORAGE });
  const pieces = new GpuMemoryPieces(gpu, [existing]);
  for (const bytes of [4, 3 * 65536 + 20]) expect(await pieces.allocate(bytes)).toBe(true);
  expect(await pieces.read('first', 3)).toBe(true);
  expect(await pieces.read('all', 1)).toBe(true);
  expect(await pieces.allocate(device.limits.maxBufferSize + 4)).toBe(false);
  expect(await readRateOf(pieces, 100)).toBeGreaterThan(0);
  pieces.destroy();
  expect(gpu.health.failed).toBe(false);
});
