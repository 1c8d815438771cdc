import { describe, expect, it } from 'vitest';
import { reportAdapter, requestAdapter, requestDevice } from './device.ts';

// If these tests fail, all other GPU tests fail too: they need a secure context, an adapter and a working device.
describe('device', () => {
  it('runs in a secure context, where WebGPU is not hidden', () => {
    expect(globalThis.isSecureContext).toBe(true);
    expect(navigator.gpu).toBeDefined();
  });

  it('reports an adapter whose limits fit the largest expert of the supported models', async () => {
    const report = reportAdapter(await requestAdapter());
    expect(report.vendor).not.toBe('');
    // One Q4_K expert of Mixtral 8x7B takes 94.5 MiB.
    expect(report.maxStorageBufferBindingSize).toBeGreaterThanOrEqual(128 * 2 ** 20);
  });

  it('gives a device that copies bytes', async () => {
    const gpu = await requestDevice(await requestAdapter());
    const source = gpu.createBuffer({ size: 16, usage: GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST });
    const target = gpu.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    gpu.queue.writeBuffer(source, 0, new Uint32Array([1, 2, 3, 4]));
    const encoder = gpu.createCommandEncoder();
    encoder.copyBufferToBuffer(source, 0, target, 0, 16);
    gpu.queue.submit([encoder.finish()]);
    await target.mapAsync(GPUMapMode.READ);
    expect([...new Uint32Array(target.getMappedRange())]).toEqual([1, 2, 3, 4]);
    gpu.destroy();
  });
});
