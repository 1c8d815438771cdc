import { expect, it, vi } from 'vitest';
import { kvCacheBytes } from '../../compute.ts';
import { getTestDevice, readBack } from '../testing.ts';
import { KvCache } from './kv-cache.ts';

const SHAPE = { layerCount: 2, kvHeadCount: 1, headDim: 8 };
/** Words (u32) of the keys of one position. */
const WORDS = 4;

it('grows by doubling, in pages, up to its limit; keeps contents, destroys old buffers', async () => {
  const gpu = await getTestDevice();
  const cache = new KvCache(gpu, SHAPE, 3000);
  const contents = (positions: number, seed: number) =>
    Uint32Array.from({ length: positions * WORDS }, (_, i) => i * 7 + seed);
  expect(cache.capacity).toBe(512);
  for (const [layer, { keys, values }] of cache.layers.entries()) {
    gpu.queue.writeBuffer(keys.buffer, 0, contents(512, layer));
    gpu.queue.writeBuffer(values.buffer, 0, contents(512, layer + 10));
  }
  for (const [positions, capacity] of [
    [512, 512],
    [513, 1024],
    [1025, 2048],
    [2900, 3000],
  ]) {
    const before = cache.layers;
    const [old, previous] = [before.flatMap(({ keys, values }) => [keys.buffer, values.buffer]), cache.capacity];
    const destroyed = vi.spyOn(GPUBuffer.prototype, 'destroy');
    const waits = vi.spyOn(gpu.queue, 'onSubmittedWorkDone');
    expect(await cache.grow(positions)).toBe(capacity > previous);
    const destroyedBuffers = destroyed.mock.contexts;
    destroyed.mockRestore();
    // Only one layer at a time is in memory twice.
    expect(waits).toHaveBeenCalledTimes(capacity > previous ? SHAPE.layerCount : 0);
    waits.mockRestore();
    expect(cache.capacity).toBe(capacity);
    expect(cache.bytes).toBe(kvCacheBytes(SHAPE, capacity));
    if (capacity === previous) expect(cache.layers).toBe(before);
    else expect(destroyedBuffers).toEqual(old);
    for (const [layer, { keys, values }] of cache.layers.entries()) {
      expect([keys.size, values.size]).toEqual([capacity * WORDS * 4, capacity * WORDS * 4]);
      expect((await readBack(gpu, keys, Uint32Array)).subarray(0, 512 * WORDS)).toEqual(contents(512, layer));
      expect((await readBack(gpu, values, Uint32Array)).subarray(0, 512 * WORDS)).toEqual(contents(512, layer + 10));
    }
  }
  await expect(cache.grow(3001)).rejects.toThrow(RangeError);
  cache.destroy();
});
