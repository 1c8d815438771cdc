/** Finds out how much GPU memory there is: no API tells. */
import type { Bytes } from '../../../src/contract/ids.ts';

const STEP: Bytes = 256 * 1024 * 1024;

/**
 * Allocates step by step, up to `wanted` bytes, and frees everything again. A driver that hands out memory it does
 * not have deceives the probe: what comes out is an upper bound.
 * @returns bytes that could be allocated, at most `wanted`
 */
export async function probeGpuMemory(device: GPUDevice, wanted: Bytes): Promise<Bytes> {
  const step = Math.min(STEP, device.limits.maxBufferSize);
  const buffers: GPUBuffer[] = [];
  let found = 0;
  try {
    while (found < wanted) {
      const size = Math.ceil(Math.min(step, wanted - found) / 4) * 4;
      device.pushErrorScope('validation');
      device.pushErrorScope('out-of-memory');
      buffers.push(
        device.createBuffer({ label: 'probe', size, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST }),
      );
      const outOfMemory = await device.popErrorScope();
      const refused = await device.popErrorScope();
      if (outOfMemory || refused) break;
      found += size;
    }
  } finally {
    for (const buffer of buffers) buffer.destroy();
  }
  return Math.min(found, wanted);
}
