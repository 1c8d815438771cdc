/** Small numbers that differ from call to call, as uniforms: an override would mean a pipeline for each. */
import type { Slice } from '../dispatch.ts';

const cache = new WeakMap<GPUDevice, Map<string, Slice>>();
/** Uniform bindings begin at multiples of 256 bytes. */
const BYTES = 256;

/** A uniform `vec4<u32>` with these words; equal ones share memory for as long as the device lives. */
export function constants(device: GPUDevice, ...words: number[]): Slice {
  const key = words.join();
  const slices = cache.get(device) ?? new Map<string, Slice>();
  cache.set(device, slices);
  let slice = slices.get(key);
  if (!slice) {
    const label = `constants ${key}`;
    const buffer = device.createBuffer({ label, size: BYTES, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
    const data = new Uint32Array(4);
    data.set(words);
    device.queue.writeBuffer(buffer, 0, data);
    slice = { buffer, offset: 0, size: data.byteLength };
    slices.set(key, slice);
  }
  return slice;
}
