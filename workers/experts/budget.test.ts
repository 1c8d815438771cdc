import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MixtabError } from '../../src/contract/errors.ts';
import { type PoolPlan, planSlots, type SlotBudget } from './budget.ts';

const base: Omit<SlotBudget, 'budgetBytes'> = {
  memory: 'gpu',
  fixedBytes: 1_000,
  slotBytes: [100, 100, 100],
  expertCount: 8,
  expertsPerToken: 2,
};
const slotsOf = (pools: PoolPlan[]): number[] => pools.map(({ slots }) => slots);

describe('planSlots with room for one token’s experts in every layer', () => {
  it('gives every expert a slot if the budget allows, and no more', () => {
    expect(slotsOf(planSlots({ ...base, budgetBytes: 1e9 }))).toEqual([8, 8, 8]);
    expect(slotsOf(planSlots({ ...base, budgetBytes: 1_000 + 2_400 }))).toEqual([8, 8, 8]);
  });

  it('deals the remaining slots out layer by layer', () => {
    expect(planSlots({ ...base, budgetBytes: 1_000 + 800 })).toEqual([
      { layers: [0], slots: 3 },
      { layers: [1], slots: 3 },
      { layers: [2], slots: 2 },
    ]);
    expect(slotsOf(planSlots({ ...base, budgetBytes: 1_000 + 600 }))).toEqual([2, 2, 2]);
  });

  it('counts the slot bytes of each layer separately', () => {
    // 2 x 450 are taken. The remaining 250 are enough for one slot of 200, then one of 50.
    expect(slotsOf(planSlots({ ...base, slotBytes: [200, 200, 50], budgetBytes: 1_000 + 900 + 250 }))).toEqual([
      3, 2, 3,
    ]);
  });
});

describe('planSlots with less', () => {
  it('lets all layers share a pool of at least two slots', () => {
    expect(planSlots({ ...base, budgetBytes: 1_200 })).toEqual([{ layers: [0, 2, 1], slots: 2 }]);
    expect(planSlots({ ...base, budgetBytes: 1_400 })).toEqual([{ layers: [0, 2, 1], slots: 4 }]);
  });

  it('gives as many layers as possible their own pool', () => {
    const slotBytes = new Array<number>(8).fill(100);
    const pools = planSlots({ ...base, slotBytes, budgetBytes: 1_000 + 400 + 600 });
    expect(pools.map(({ layers, slots }) => [layers.length, slots])).toEqual([
      [1, 2],
      [1, 2],
      [1, 2],
      [5, 4],
    ]);
  });

  it('makes shared slots as large as the largest expert', () => {
    const pools = planSlots({ ...base, slotBytes: [100, 150, 100], budgetBytes: 1_000 + 450 });
    expect(pools).toEqual([{ layers: [0, 2, 1], slots: 3 }]);
    expect(() => planSlots({ ...base, slotBytes: [100, 150, 100], budgetBytes: 1_000 + 299 })).toThrow(MixtabError);
  });

  it('names the minimum if the budget is too small', () => {
    const run = () => planSlots({ ...base, fixedBytes: 5e6, slotBytes: [1e6, 1e6, 1e6], budgetBytes: 6e6 });
    expect(run).toThrow(MixtabError);
    expect(run).toThrow(/at least 7 MB/);
  });

  it.each([
    ['gpu', 'gpu-budget-too-small', 'GPU budget'],
    ['ram', 'ram-budget-too-small', 'memory budget'],
  ] as const)('names the budget of the %s', (memory, code, name) => {
    expect(() => planSlots({ ...base, memory, budgetBytes: 1 })).toThrow(
      expect.objectContaining({
        code,
        message: expect.stringMatching(`^A ${name} of 1 MB is too small`),
        remedy: expect.stringMatching(`^Raise the ${name} to `),
      }),
    );
  });

  it.each(['gpu', 'ram'] as const)('names no budget of the %s that nobody has set', (memory) => {
    expect(() => planSlots({ ...base, memory, budgetBytes: 1, automatic: true })).toThrow(
      expect.objectContaining({
        message: expect.stringMatching(/^Only 1 MB of .*memory can be used here, but this model needs at least \d+ MB/),
        remedy: expect.not.stringContaining('budget'),
      }),
    );
  });
});

describe('planSlots for any budget', () => {
  const sizes = fc.array(fc.constantFrom(100, 150, 70), { minLength: 1, maxLength: 40 });
  it('stays within the budget, and gives each layer one pool with neither too few nor too many slots', () => {
    fc.assert(
      fc.property(
        sizes,
        fc.integer({ min: 0, max: 20_000 }),
        fc.integer({ min: 1, max: 4 }),
        (slotBytes, spare, expertsPerToken) => {
          const budget: SlotBudget = {
            memory: 'gpu',
            budgetBytes: 1_000 + spare,
            fixedBytes: 1_000,
            slotBytes,
            expertCount: 4,
            expertsPerToken,
          };
          if (spare < expertsPerToken * Math.max(...slotBytes)) {
            expect(() => planSlots(budget)).toThrow(MixtabError);
            return;
          }
          const pools = planSlots(budget);
          expect(pools.flatMap((pool) => pool.layers).sort((a, b) => a - b)).toEqual(
            slotBytes.map((_, layer) => layer),
          );
          let bytes = 0;
          for (const { layers, slots } of pools) {
            expect(slots).toBeGreaterThanOrEqual(expertsPerToken);
            expect(slots).toBeLessThanOrEqual(4 * layers.length);
            bytes += slots * Math.max(...layers.map((layer) => slotBytes[layer]));
          }
          expect(bytes).toBeLessThanOrEqual(spare);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
