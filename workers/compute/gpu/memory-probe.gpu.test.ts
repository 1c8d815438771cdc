import { expect, it, vi } from 'vitest';
import { readRateOf } from '../../experts/measured-memory.ts';
import { requestAdapter, requestDevice } from './device.ts';
import { DeviceHealth } from './errors.ts';
import { GpuMemoryPieces, measureCopyRates, probeGpuMemory } from './memory-probe.ts';
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
  const gpu = { device, pipelines: new PipelineCache(device), health: new DeviceHealth(device), clockStepMs: 0 };
  const existing = device.createBuffer({ size: 100, usage: GPUBufferUsage.STORAGE });
  const pieces = new GpuMemoryPieces(gpu, [existing]);
  for (const bytes of [4, 3 * 65536 + 20]) expect(await pieces.allocate(bytes)).toBe(true);
  await pieces.prepare();
  expect(await pieces.readFirst(3)).toBe(true);
  expect(await pieces.readAll()).toBe(true);
  expect(await pieces.allocate(device.limits.maxBufferSize + 4)).toBe(false);
  expect(await readRateOf(pieces, 100)).toBeGreaterThan(0);
  pieces.destroy();
  expect(gpu.health.failed).toBe(false);
});

it('reads every byte once in several submissions, each of which uses all pieces, if the GPU is slow', async () => {
  const device = await requestDevice(await requestAdapter());
  const gpu = { device, pipelines: new PipelineCache(device), health: new DeviceHealth(device), clockStepMs: 1e9 };
  const sizes = [150 * 2 ** 20, 20, 3 * 65536 + 20];
  const usage = GPUBufferUsage.STORAGE;
  const buffers = sizes.map((size, index) => device.createBuffer({ label: `piece ${index}`, size, usage }));
  const pieces = new GpuMemoryPieces(gpu, buffers);
  await pieces.prepare();
  const submissions: [label: string, offset: number, size: number][][] = [[]];
  const dispatch = vi.spyOn(gpu.pipelines, 'dispatch');
  const submit = device.queue.submit.bind(device.queue);
  vi.spyOn(device.queue, 'submit').mockImplementation((commands) => {
    submissions
      .at(-1)!
      .push(
        ...dispatch.mock.calls.map(([, , [{ buffer, offset, size }]]): [string, number, number] => [
          buffer.label,
          offset,
          size,
        ]),
      );
    dispatch.mockClear();
    submissions.push([]);
    submit(commands);
  });
  expect(await pieces.readAll()).toBe(true);
  submissions.pop();
  // A clock that coarse says nothing, so each gets the 64 MiB of an unknown GPU.
  expect(submissions).toHaveLength(3);
  for (const reads of submissions) {
    expect(new Set(reads.map(([label]) => label)).size).toBe(3);
    expect(reads.reduce((sum, [, , size]) => sum + size, 0)).toBeLessThan(65 * 2 ** 20);
  }
  for (const [index, size] of sizes.entries()) {
    const starts = new Map(
      submissions.flat().flatMap(([label, offset, bytes]) => (label === `piece ${index}` ? [[offset, bytes]] : [])),
    );
    let end = 0;
    for (let bytes = starts.get(end); bytes; bytes = starts.get(end)) end += bytes;
    expect(end).toBe(size);
  }
  pieces.destroy();
  for (const buffer of buffers) buffer.destroy();
  expect(gpu.health.failed).toBe(false);
});

it('measures copies within the memory of the adapter and from main memory, and frees everything', async () => {
  const device = await requestDevice(await requestAdapter());
  const gpu = { device, health: new DeviceHealth(device), clockStepMs: 0 };
  const created = vi.spyOn(device, 'createBuffer');
  const rates = await measureCopyRates(gpu, 65536);
  expect(rates?.copyRate).toBeGreaterThan(0);
  expect(rates?.hostCopyRate).toBeGreaterThan(0);
  expect(gpu.health.failed).toBe(false);
  const buffers = created.mock.results.map(({ value }) => value as GPUBuffer);
  created.mockRestore();
  expect(buffers.length).toBe(3);
  for (const buffer of buffers) {
    device.pushErrorScope('validation');
    device.queue.submit([copied(device, buffer)]);
    expect(await device.popErrorScope()).not.toBeNull();
  }
});

/** Commands that read or write a buffer. */
function copied(device: GPUDevice, buffer: GPUBuffer): GPUCommandBuffer {
  const other = device.createBuffer({ size: 4, usage: GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  if (buffer.usage & GPUBufferUsage.COPY_DST) encoder.copyBufferToBuffer(other, 0, buffer, 0, 4);
  else encoder.copyBufferToBuffer(buffer, 0, other, 0, 4);
  return encoder.finish();
}
