import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ExpertGroup, groupByExpert } from '../../experts/grouping.ts';
import { assignmentsWithin, chunkTokens, cutByCost, productCost, sliceGroups } from './slicing.ts';

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

describe('cutting groups', () => {
  const assigned = fc.array(fc.nat(7), { minLength: 1, maxLength: 200 });

  it('loses no assignment, and fills all slices but the last one', () => {
    fc.assert(
      fc.property(assigned, fc.integer({ min: 1, max: 64 }), (experts, most) => {
        const groups = groupByExpert(experts);
        const slices = sliceGroups(groups, most);
        const pairs = (list: readonly ExpertGroup[]) =>
          list.flatMap(({ expert, assignments }) => assignments.map((assignment) => [expert, assignment]));
        expect(pairs(slices.flat())).toEqual(pairs(groups));
        const counts = slices.map((slice) => pairs(slice).length);
        expect(counts.slice(0, -1).every((count) => count === most)).toBe(true);
        expect(counts.at(-1)).toBeLessThanOrEqual(most);
        expect(slices.flat().every(({ assignments }) => assignments.length > 0)).toBe(true);
      }),
    );
  });

  it('takes as many as a kernel takes at once', () => {
    expect([1000, 100, 40, 20, 5, 1, 0].map((limit) => assignmentsWithin(1, limit))).toEqual([
      992, 96, 32, 20, 4, 4, 4,
    ]);
  });
});

describe('on a GPU with 0.1 TFLOP/s', () => {
  const rate = 5e7; // multiply-adds per millisecond
  const mixtral = { embeddingLength: 4096, headCount: 32, headDim: 128 };

  it('no dispatch of Mixtral 8x7B takes more than 100 ms', () => {
    const tokens = chunkTokens({ ...mixtral, context: 4096 }, 512, rate * 100);
    expect(tokens).toBe(128);
    expect((tokens * 4096 * 4096) / rate).toBeLessThan(100);
    const most = assignmentsWithin(2 * 4096 * 14336, rate * 100);
    expect(most).toBe(32);
    expect((most * 2 * 4096 * 14336) / rate).toBeLessThan(100);
  });

  it('a long context shortens the chunks of a prompt, because attention takes longest then', () => {
    expect(chunkTokens({ ...mixtral, context: 8192 }, 512, rate * 100)).toBe(64);
    expect(chunkTokens({ ...mixtral, context: 32768 }, 512, rate * 100)).toBe(32);
  });

  it('and nothing is cut on one that is 100 times as fast', () => {
    expect(chunkTokens({ ...mixtral, context: 4096 }, 512, 100 * rate * 100)).toBe(512);
    expect(assignmentsWithin(2 * 4096 * 14336, 100 * rate * 100)).toBeGreaterThan(1024);
    const token = 32 * (productCost(4096 * 4096 * 2.5, 1) + productCost(2 * 3 * 4096 * 14336, 1));
    expect(token).toBeLessThan(100 * rate * 250);
  });
});
