import { describe, expect, it } from 'vitest';
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

  it('keeps nothing by default', () => {
    const pool = new BufferPool();
    const buffer = pool.take(40);
    pool.recycle(buffer);
    expect(pool.take(40)).not.toBe(buffer);
  });
});
