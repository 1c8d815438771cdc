import { describe, expect, it } from 'vitest';
import type { ModelConfig } from '../../../src/contract/import-api.ts';
import { layoutTensor, WEIGHT_TYPES } from '../../format/weight-layout.ts';
import { evenPart, headsOf, slicesOf } from './partition.ts';

const config = (headCount: number, kvHeadCount: number): ModelConfig =>
  ({ headCount, kvHeadCount, headDim: 64 }) as ModelConfig;

describe('evenPart', () => {
  it.each([
    [4096, 2],
    [14336, 3],
    [1792, 7],
    [400, 16],
    [10, 4],
    [3, 2],
  ])('cuts %i rows for %i threads without gaps, in multiples of four', (rows, threads) => {
    let end = 0;
    const counts: number[] = [];
    for (let thread = 0; thread < threads; thread++) {
      const { from, to } = evenPart(rows, threads, thread);
      expect(from).toBe(end);
      expect(from % 4).toBe(0);
      counts.push(to - from);
      end = to;
    }
    expect(end).toBe(rows);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(4);
  });
});

describe('headsOf', () => {
  it('keeps the queries that share a key head together if there are enough key heads', () => {
    const parts = [0, 1, 2].map((thread) => headsOf(config(32, 8), 3, thread));
    expect(parts).toEqual([
      { firstQuery: 0, queries: 8, firstKv: 0, kvs: 2 },
      { firstQuery: 8, queries: 12, firstKv: 2, kvs: 3 },
      { firstQuery: 20, queries: 12, firstKv: 5, kvs: 3 },
    ]);
  });

  it('gives several threads the same key head if there are fewer key heads than threads', () => {
    const parts = [0, 1, 2, 3].map((thread) => headsOf(config(12, 2), 4, thread));
    expect(parts.map(({ firstKv, kvs }) => [firstKv, kvs])).toEqual([
      [0, 1],
      [0, 1],
      [1, 1],
      [1, 1],
    ]);
    expect(headsOf(config(6, 2), 4, 1)).toEqual({ firstQuery: 1, queries: 2, firstKv: 0, kvs: 1 });
    expect(headsOf(config(6, 2), 4, 2)).toEqual({ firstQuery: 3, queries: 1, firstKv: 1, kvs: 1 });
  });

  it('gives the threads beyond the last head nothing', () => {
    expect(headsOf(config(2, 1), 4, 0)).toEqual({ firstQuery: 0, queries: 0, firstKv: 0, kvs: 0 });
    const queries = [0, 1, 2, 3].map((thread) => headsOf(config(2, 1), 4, thread).queries);
    expect(queries.reduce((a, b) => a + b)).toBe(2);
  });
});

describe('slicesOf', () => {
  it('gives the threads their heads, and none of what the engine computes itself', () => {
    const tensor = (name: string, rows: number) => layoutTensor(name, WEIGHT_TYPES.Q8_0, rows, 64, 0);
    const tensors = [tensor('attn_norm', 1), tensor('attn_q', 512), tensor('attn_k', 128), tensor('ffn_gate_inp', 8)];
    const [first, second] = slicesOf(tensors, config(8, 2), 2);
    expect(first.tensors.map(({ rows }) => rows)).toEqual([0, 256, 64, 0]);
    expect(second.tensors.map(({ rows }) => rows)).toEqual([0, 256, 64, 0]);
    expect(second.ranges[0].from).toBe(256 * 2 * 32); // behind the quants of 256 rows
  });
});
