/** Small numbers that differ from call to call, as uniforms. As overrides, each would need its own pipeline. */
import type { Slice } from '../dispatch.ts';

const cache = new WeakMap<GPUDevice, Map<string, Slice>>();
/** Bytes of a buffer; few of them are needed. */
const BUFFER_BYTES = 256;

/**
 * Returns a uniform of `vec4<u32>` with these words, and zeros after them. Equal words share a buffer for the lifetime of
 * the device.
 */
export function constants(device: GPUDevice, ...words: number[]): Slice {
  const key = words.join();
  const slices = cache.get(device) ?? new Map<string, Slice>();
  cache.set(device, slices);
  let slice = slices.get(key);
  if (!slice) {
    const label = `constants ${key}`;
    const buffer = device.createBuffer({
      label,
      size: BUFFER_BYTES,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
    const data = new Uint32Array(4 * Math.ceil(words.length / 4));
    data.set(words);
    device.queue.writeBuffer(buffer, 0, data);
    slice = { buffer, offset: 0, size: data.byteLength };
    slices.set(key, slice);
  }
  return slice;
}
