import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ExpertId } from '../../src/contract/ids.ts';
import { RamTier } from './ram-tier.ts';

const id = (n: number): ExpertId => n as ExpertId;
const record = (bytes: number) => ({ byteLength: bytes });

/** A tier whose experts are spare if they are in `spare`, and whose scores are `scores`, else their number. */
function createTier(budget: number) {
  const spare = new Set<number>();
  const scores = new Map<number, number>();
  const tier = new RamTier<{ byteLength: number }>(budget, {
    isSpare: (expert) => spare.has(expert),
    score: (expert) => scores.get(expert) ?? expert,
  });
  const kept = () => Array.from({ length: 20 }, (_, n) => n).filter((n) => tier.has(id(n)));
  return { tier, spare, scores, kept };
}

describe('RamTier', () => {
  it('drops the least used expert if none is spare, also the offered one', () => {
    const { tier, kept } = createTier(30);
    for (const n of [3, 1, 2]) expect(tier.offer(id(n), record(10))).toEqual([]);
    const refused = record(10);
    expect(tier.offer(id(0), refused)).toEqual([refused]);
    expect(kept()).toEqual([1, 2, 3]);
    expect(tier.offer(id(4), record(10))).toHaveLength(1);
    expect(kept()).toEqual([2, 3, 4]);
    expect(tier.bytes).toBe(30);
  });

  it('drops spare copies first, that of the most used expert before others', () => {
    const { tier, spare, kept } = createTier(30);
    for (const n of [5, 6, 7]) tier.offer(id(n), record(10));
    for (const n of [6, 7]) spare.add(n);
    tier.offer(id(1), record(10));
    expect(kept()).toEqual([1, 5, 6]);
    spare.add(2);
    tier.offer(id(2), record(10)); // less used than 6, so it loses its slot sooner
    expect(kept()).toEqual([1, 2, 5]);
    spare.add(9);
    const refused = record(10);
    expect(tier.offer(id(9), refused)).toEqual([refused]);
  });

  it('keeps the newer of two experts that are worth the same', () => {
    const { tier, scores, kept } = createTier(10);
    for (const n of [1, 2]) scores.set(n, Number.NEGATIVE_INFINITY);
    tier.offer(id(1), record(10));
    tier.offer(id(2), record(10));
    expect(kept()).toEqual([2]);
  });

  it('drops as many as a larger record needs, or none if one of them is worth more', () => {
    const { tier, scores, kept } = createTier(30);
    for (const n of [1, 2, 3]) tier.offer(id(n), record(10));
    expect(tier.offer(id(4), record(20))).toHaveLength(2);
    expect(kept()).toEqual([3, 4]);
    scores.set(5, 3.5);
    expect(tier.offer(id(5), record(20))).toHaveLength(1);
    expect([kept(), tier.bytes]).toEqual([[3, 4], 30]);
  });

  it('keeps nothing that is larger than the budget, and returns everything when it is closed', () => {
    const { tier, kept } = createTier(100);
    const small = record(60);
    tier.offer(id(1), small);
    const huge = record(101);
    expect(tier.offer(id(2), huge)).toEqual([huge]);
    expect(kept()).toEqual([1]);
    expect([tier.close(), tier.bytes, kept()]).toEqual([[small], 0, []]);
    expect(tier.offer(id(1), small)).toEqual([small]);
    const none = createTier(0).tier;
    expect(none.offer(id(1), small)).toEqual([small]);
  });

  it('keeps half as much from then on if memory is short, the most useful half', () => {
    const { tier, spare, kept } = createTier(100);
    const records = [1, 2, 3, 4].map(() => record(10));
    for (const [i, each] of records.entries()) tier.offer(id(i + 1), each);
    spare.add(4);
    const dropped = tier.halve();
    expect(dropped).toHaveLength(2);
    expect([dropped[0] === records[3], dropped[1] === records[0]]).toEqual([true, true]);
    expect([kept(), tier.bytes, tier.budgetBytes]).toEqual([[2, 3], 20, 20]);
    tier.offer(id(5), record(10));
    expect([kept(), tier.bytes]).toEqual([[3, 5], 20]);
    for (let n = 0; n < 3; n++) tier.halve();
    expect([tier.halve(), kept(), tier.bytes]).toEqual([[], [], 0]);
  });

  it('counts a record once if it is offered twice, and does not replace it', () => {
    const { tier } = createTier(100);
    const first = record(60);
    tier.offer(id(1), first);
    expect(tier.offer(id(1), first)).toEqual([]);
    const second = record(60);
    expect(tier.offer(id(1), second)).toEqual([second]);
    expect([tier.get(id(1)), tier.bytes]).toEqual([first, 60]);
  });

  it('is never above its budget, and returns every record exactly once', () => {
    const step = fc.record({
      expert: fc.integer({ min: 0, max: 9 }),
      bytes: fc.integer({ min: 1, max: 40 }),
      spare: fc.boolean(),
      score: fc.integer({ min: 0, max: 5 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 0, max: 100 }), (steps, budget) => {
        const { tier, spare, scores } = createTier(budget);
        const out = new Set<object>();
        for (const { expert, bytes, spare: isSpare, score } of steps) {
          if (isSpare) spare.add(expert);
          else spare.delete(expert);
          scores.set(expert, score);
          const offered = record(bytes);
          const dropped = tier.offer(id(expert), offered);
          for (const each of dropped) {
            expect(out.has(each)).toBe(false);
            out.add(each);
          }
          expect(tier.bytes).toBeLessThanOrEqual(budget);
          const total = Array.from({ length: 10 }, (_, n) => tier.get(id(n))?.byteLength ?? 0);
          expect(total.reduce((a, b) => a + b)).toBe(tier.bytes);
        }
        expect(out.size + tier.close().length).toBe(steps.length);
      }),
    );
  });
});
