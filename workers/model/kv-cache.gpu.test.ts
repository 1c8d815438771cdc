import { expect, it, vi } from 'vitest';
import { getTestDevice, readBack } from '../gpu/testing.ts';
import { KvCache, kvCacheBytes } from './kv-cache.ts';

const SHAPE = { layerCount: 2, kvHeadCount: 1, headDim: 8 };
/** u32 that a position's keys take. */
const WORDS = 4;

it('fits itself to what is in it: grows by pages and shrinks, keeps contents, frees what it had', async () => {
  const gpu = await getTestDevice();
  const cache = new KvCache(gpu, SHAPE, 3000);
  const contents = (positions: number, seed: number) => Uint32Array.from({ length: positions * WORDS }, (_, i) => i * 7 + seed);
  cache.grow(1500);
  expect(cache.capacity).toBe(1536);
  for (const [layer, { keys, values }] of cache.layers.entries()) {
    gpu.queue.writeBuffer(keys.buffer, 0, contents(1536, layer));
    gpu.queue.writeBuffer(values.buffer, 0, contents(1536, layer + 10));
  }
  for (const [positions, capacity] of [[600, 1024], [1025, 1536], [1536, 1536], [2900, 3000]]) {
    const before = cache.layers;
    const old = before.flatMap(({ keys, values }) => [keys.buffer, values.buffer]);
    const destroyed = vi.spyOn(GPUBuffer.prototype, 'destroy');
    await cache.fit(positions);
    const gone = destroyed.mock.contexts;
    destroyed.mockRestore();
    expect(cache.capacity).toBe(capacity);
    expect(cache.bytes).toBe(kvCacheBytes(SHAPE, capacity));
    if (positions === 1536) expect(cache.layers).toBe(before);
    else expect(gone).toEqual(old);
    for (const [layer, { keys, values }] of cache.layers.entries()) {
      expect([keys.size, values.size]).toEqual([capacity * WORDS * 4, capacity * WORDS * 4]);
      expect((await readBack(gpu, keys, Uint32Array)).subarray(0, 1024 * WORDS)).toEqual(contents(1024, layer));
      expect((await readBack(gpu, values, Uint32Array)).subarray(0, 1024 * WORDS)).toEqual(contents(1024, layer + 10));
    }
  }
  cache.destroy();
});
