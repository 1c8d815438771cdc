/** Measures how much GPU memory can be allocated, because no API reports it. */
import type { Bytes } from '../../../src/contract/ids.ts';

const STEP_BYTES: Bytes = 256 * 1024 * 1024;

/**
 * Allocates buffers of up to 256 MiB until an allocation fails or `limit` bytes are allocated, and then frees all of
 * them. The result is an upper bound: a driver may accept allocations that exceed its memory.
 * @returns the bytes that could be allocated, at most `limit`
 */
export async function probeGpuMemory(device: GPUDevice, limit: Bytes): Promise<Bytes> {
  const step = Math.min(STEP_BYTES, device.limits.maxBufferSize);
  const buffers: GPUBuffer[] = [];
  let found = 0;
  try {
    while (found < limit) {
      const size = Math.ceil(Math.min(step, limit - found) / 4) * 4;
      device.pushErrorScope('validation');
      device.pushErrorScope('out-of-memory');
      buffers.push(
        device.createBuffer({ label: 'probe', size, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST }),
      );
      const outOfMemory = await device.popErrorScope();
      const invalid = await device.popErrorScope();
      if (outOfMemory || invalid) break;
      found += size;
    }
  } finally {
    for (const buffer of buffers) buffer.destroy();
  }
  return Math.min(found, limit);
}
