import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MixtabError } from '../../src/contract/errors.ts';
import { type PoolPlan, planSlots, type SlotBudget } from './budget.ts';

const base = { fixedBytes: 1_000, slotBytes: [100, 100, 100], layoutClass: [0, 0, 0], expertCount: 8, expertsPerToken: 2 };
const slotsOf = (pools: PoolPlan[]): number[] => pools.map(({ slots }) => slots);

describe('planSlots with room for every layer', () => {
  it('gives every expert a slot where the budget allows, and no more', () => {
    expect(slotsOf(planSlots({ ...base, budgetBytes: 1e9 }))).toEqual([8, 8, 8]);
    expect(slotsOf(planSlots({ ...base, budgetBytes: 1_000 + 2_400 }))).toEqual([8, 8, 8]);
  });

  it('deals what is left out layer by layer', () => {
    expect(planSlots({ ...base, budgetBytes: 1_000 + 800 })).toEqual([
      { layers: [0], slots: 3 }, { layers: [1], slots: 3 }, { layers: [2], slots: 2 },
    ]);
    expect(slotsOf(planSlots({ ...base, budgetBytes: 1_000 + 600 }))).toEqual([2, 2, 2]);
  });

  it('counts the bytes of each layer on its own', () => {
    // 2 x 450 are taken; 250 are left: one of 200, then one of 50.
    expect(slotsOf(planSlots({ ...base, slotBytes: [200, 200, 50], budgetBytes: 1_000 + 900 + 250 }))).toEqual([3, 2, 3]);
  });
});

describe('planSlots with less', () => {
  it('lets layers share one pool, at the least of two slots', () => {
    expect(planSlots({ ...base, budgetBytes: 1_200 })).toEqual([{ layers: [0, 2, 1], slots: 2 }]);
    expect(planSlots({ ...base, budgetBytes: 1_400 })).toEqual([{ layers: [0, 2, 1], slots: 4 }]);
  });

  it('keeps pools of their own for as many layers as it can', () => {
    const slotBytes = new Array<number>(8).fill(100);
    const pools = planSlots({ ...base, slotBytes, layoutClass: slotBytes.map(() => 0), budgetBytes: 1_000 + 400 + 600 });
    expect(pools.map(({ layers, slots }) => [layers.length, slots])).toEqual([[1, 2], [1, 2], [1, 2], [5, 4]]);
  });

  it('shares only among layers that are laid out alike', () => {
    const pools = planSlots({ ...base, slotBytes: [100, 150, 100], layoutClass: [0, 1, 0], budgetBytes: 1_000 + 500 });
    expect(pools).toEqual([{ layers: [0, 2], slots: 2 }, { layers: [1], slots: 2 }]);
  });

  it('names the minimum where the budget is too small', () => {
    const run = () => planSlots({ ...base, fixedBytes: 5e6, slotBytes: [1e6, 1e6, 1e6], budgetBytes: 6e6 });
    expect(run).toThrow(MixtabError);
    expect(run).toThrow(/at least 7 MB/);
  });
});

describe('planSlots for any budget', () => {
  const layers = fc.array(fc.constantFrom([100, 0], [150, 1], [70, 2]), { minLength: 1, maxLength: 40 });
  it('stays within it, gives each layer one pool of its own layout, and never too few slots', () => {
    fc.assert(
      fc.property(layers, fc.integer({ min: 0, max: 40_000 }), fc.integer({ min: 1, max: 4 }), (kinds, spare, expertsPerToken) => {
        const budget: SlotBudget = {
          budgetBytes: 1_000 + spare, fixedBytes: 1_000, slotBytes: kinds.map(([bytes]) => bytes),
          layoutClass: kinds.map(([, layout]) => layout), expertCount: 4, expertsPerToken,
        };
        let pools: PoolPlan[];
        try {
          pools = planSlots(budget);
        } catch (error) {
          const least = [...new Set(kinds.map(([bytes]) => bytes))].reduce((total, bytes) => total + bytes, 0) * expertsPerToken;
          expect(error).toBeInstanceOf(MixtabError);
          expect(spare).toBeLessThan(least);
          return;
        }
        expect(pools.flatMap((pool) => pool.layers).sort((a, b) => a - b)).toEqual(kinds.map((_, layer) => layer));
        let bytes = 0;
        for (const pool of pools) {
          expect(new Set(pool.layers.map((layer) => budget.layoutClass[layer])).size).toBe(1);
          expect(pool.slots).toBeGreaterThanOrEqual(expertsPerToken);
          expect(pool.slots).toBeLessThanOrEqual(4 * pool.layers.length);
          bytes += pool.slots * budget.slotBytes[pool.layers[0]];
        }
        expect(bytes).toBeLessThanOrEqual(spare);
      }),
    );
  });
});
