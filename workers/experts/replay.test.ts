import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { agedLfu, belady, type LayerTrace, layerTraces, lru, replayTwoTiers } from './replay.ts';

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

  it('counts hits in main memory as by hand', () => {
    const trace = [[0], [1], [2], [0], [1]];
    // Two slots, and a record in main memory. 0 is copied when it loses its slot to 2, then 1 to 0, then 2 to 1.
    expect(replayTwoTiers(trace, 2, 1, 'copies')).toEqual({ slotHits: 0, ramHits: 2, copies: 3 });
    // 0 stays in main memory, because it loses its slot first. 1 and 2 are expected to keep theirs for longer.
    expect(replayTwoTiers(trace, 2, 1)).toEqual({ slotHits: 0, ramHits: 1, copies: 0 });
  });

  it('does not change the slots by main memory, and misses only first uses if it holds all experts', () => {
    fc.assert(
      fc.property(traces, fc.integer({ min: 2, max: 8 }), fc.integer({ min: 0, max: 8 }), (trace, slots, records) => {
        const all = trace.length * 2 - new Set(trace.flat()).size;
        for (const source of ['reads', 'copies'] as const) {
          const { slotHits, ramHits } = replayTwoTiers(trace, slots, records, source);
          expect(slotHits).toBe(agedLfu(64)(trace, slots));
          if (records === 0) expect(ramHits).toBe(0);
          const holdsAll = source === 'copies' ? slots + records >= 8 : records === 8;
          if (holdsAll) expect(slotHits + ramHits).toBe(all);
        }
      }),
    );
  });
});
