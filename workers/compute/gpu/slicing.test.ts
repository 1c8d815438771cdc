import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Dispatch } from './dispatch.ts';
import { cutByCost, cutDispatch } from './slicing.ts';

describe('cutting a list', () => {
  it('keeps the order, and exceeds the limit only for single items', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(50)), fc.nat(100), (costs, limit) => {
        const parts = cutByCost(
          costs.map((cost, at) => ({ cost, at })),
          limit,
        );
        expect(parts.flat().map(({ at }) => at)).toEqual(costs.map((_, at) => at));
        for (const [index, part] of parts.entries()) {
          const sum = part.reduce((total, { cost }) => total + cost, 0);
          if (part.length > 1) expect(sum).toBeLessThanOrEqual(limit);
          // No part could have taken the first item of the next one.
          const next = parts[index + 1]?.[0];
          if (next) expect(sum + next.cost).toBeGreaterThan(limit);
        }
      }),
    );
  });

  it('leaves it in one piece where everything fits', () => {
    const items = [{ cost: 5 }, {}, { cost: 5 }];
    expect(cutByCost(items, 10)).toEqual([items]);
    expect(cutByCost([], 10)).toEqual([]);
  });
});

describe('cutting a dispatch', () => {
  /** A dispatch of `count` parts, whose pieces say which ones they are. */
  const dispatchOf = (count: number, cost: number) =>
    ({
      cost,
      parts: { count, slice: (first: number, own: number) => ({ bindGroup: first, workgroups: [own, 1, 1] }) },
    }) as unknown as Dispatch;

  it('computes each part once, in order, with pieces of at most the limit where parts allow it', () => {
    const limits = fc.tuple(fc.integer({ min: 1, max: 2000 }), fc.nat(1e5), fc.integer({ min: 1, max: 1e5 }));
    fc.assert(
      fc.property(limits, ([count, cost, limit]) => {
        const pieces = cutDispatch(dispatchOf(count, cost), limit);
        if (cost <= limit) {
          expect(pieces).toHaveLength(1);
          return;
        }
        const sizes = pieces.map(({ workgroups }) => workgroups[0]);
        expect(pieces.map(({ bindGroup }) => bindGroup)).toEqual(
          sizes.map((_, i) => sizes.slice(0, i).reduce((sum, size) => sum + size, 0)),
        );
        expect(sizes.reduce((sum, size) => sum + size)).toBe(count);
        expect(pieces.every(({ cost: own = 0 }, i) => own <= limit * 1.000001 || sizes[i] === 1)).toBe(true);
        expect(pieces.some(({ parts }) => parts)).toBe(false);
        expect(pieces.reduce((sum, { cost: own = 0 }) => sum + own, 0)).toBeCloseTo(cost, 3);
      }),
    );
  });

  it('leaves no piece with more workgroups than a dimension of a grid has', () => {
    const sizes = cutDispatch(dispatchOf(200_000, 200), 199).map(({ workgroups }) => workgroups[0]);
    expect(sizes).toEqual([65_535, 65_535, 65_535, 3395]);
  });

  it('leaves what cannot be cut, or need not be', () => {
    const small = dispatchOf(8, 100);
    expect(cutDispatch(small, 100)).toEqual([small]);
    const whole = { cost: 1000 } as Dispatch;
    expect(cutDispatch(whole, 10)).toEqual([whole]);
  });
});
