import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { BufferPool } from './buffer-pool.ts';

describe('BufferPool', () => {
  it('returns a recycled buffer of the same size', () => {
    const pool = new BufferPool(100);
    const buffer = pool.take(40);
    pool.recycle(buffer);
    expect(pool.take(41)).not.toBe(buffer);
    expect(pool.take(40)).toBe(buffer);
    expect(pool.take(40)).not.toBe(buffer);
  });

  it('keeps the newest buffers within its capacity', () => {
    const pool = new BufferPool(100);
    const [old, middle, young] = [new ArrayBuffer(40), new ArrayBuffer(40), new ArrayBuffer(50)];
    for (const buffer of [old, middle, young]) pool.recycle(buffer);
    expect(pool.take(40)).toBe(middle);
    expect(pool.take(40)).not.toBe(old);
    expect(pool.take(50)).toBe(young);
  });

  it('drops what it has if memory is short, and holds no more than its capacity of what is released at once', () => {
    const pool = new BufferPool(100);
    const released = Array.from({ length: 50 }, () => new ArrayBuffer(40));
    for (const buffer of released) pool.recycle(buffer);
    const isReused = (buffer: ArrayBuffer): boolean => released.includes(buffer);
    expect(Array.from({ length: 4 }, () => isReused(pool.take(40)))).toEqual([true, true, false, false]);
    for (const buffer of released.slice(0, 2)) pool.recycle(buffer);
    // Memory for no other buffer, until the pool has released its own.
    let refusals = 0;
    class Scarce {
      constructor(readonly byteLength: number) {
        if (refusals-- > 0) throw new RangeError('Array buffer allocation failed');
      }
    }
    vi.stubGlobal('ArrayBuffer', Scarce);
    onTestFinished(() => void vi.unstubAllGlobals());
    refusals = 1;
    expect(pool.take(30).byteLength).toBe(30);
    expect(isReused(pool.take(40))).toBe(false);
    refusals = 1;
    expect(() => pool.take(30)).toThrow(RangeError);
  });

  it('keeps nothing by default', () => {
    const pool = new BufferPool();
    const buffer = pool.take(40);
    pool.recycle(buffer);
    expect(pool.take(40)).not.toBe(buffer);
  });
});
