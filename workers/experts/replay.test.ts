import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { agedLfu, belady, type LayerTrace, layerTraces, lru } from './replay.ts';

describe('replay', () => {
  it('counts the same hits as by hand', () => {
    const trace = [[0], [1], [2], [0], [1], [2]];
    // Two slots: LRU has always just evicted the next expert; the optimum keeps one of the three.
    expect(lru(trace, 2)).toBe(0);
    expect(belady(trace, 2)).toBe(2);
    expect(agedLfu(10)([[0], [0], [0], [1], [2], [0]], 2)).toBe(3);
    expect(lru([[0], [0], [0], [1], [2], [0]], 2)).toBe(2);
  });

  it('splits recorded routing by layer', () => {
    const [first, second] = layerTraces(Uint8Array.from([0, 1, 2, 3, 4, 5, 6, 7]), 2, 2);
    expect(first).toEqual([
      [0, 1],
      [4, 5],
    ]);
    expect(second).toEqual([
      [2, 3],
      [6, 7],
    ]);
  });

  const token = fc.uniqueArray(fc.integer({ min: 0, max: 7 }), { minLength: 2, maxLength: 2 });
  const traces: fc.Arbitrary<LayerTrace> = fc.array(token, { maxLength: 80 });

  it('finds no policy better than the optimum, and only first uses miss if every expert has a slot', () => {
    fc.assert(
      fc.property(traces, fc.integer({ min: 2, max: 7 }), (trace, slots) => {
        const best = belady(trace, slots);
        for (const policy of [lru, agedLfu(4), agedLfu(64)]) expect(policy(trace, slots)).toBeLessThanOrEqual(best);
        const all = trace.length * 2 - new Set(trace.flat()).size;
        for (const policy of [lru, agedLfu(4), belady]) expect(policy(trace, 8)).toBe(all);
      }),
    );
  });

  it('never loses hits with more slots, under the optimum', () => {
    fc.assert(
      fc.property(traces, (trace) => {
        const hits = [2, 3, 4, 5, 6, 7, 8].map((slots) => belady(trace, slots));
        expect(hits).toEqual([...hits].sort((a, b) => a - b));
      }),
    );
  });
});
