import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MixtabError } from '../../src/contract/errors.ts';
import { planPromptRows, planSlots, planStretches, type PoolPlan, type SlotBudget } from './budget.ts';

const base = { fixedBytes: 1_000, slotBytes: [100, 100, 100], expertCount: 8, expertsPerToken: 2 };
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
    const pools = planSlots({ ...base, slotBytes, budgetBytes: 1_000 + 400 + 600 });
    expect(pools.map(({ layers, slots }) => [layers.length, slots])).toEqual([[1, 2], [1, 2], [1, 2], [5, 4]]);
  });

  it('makes shared slots as large as the largest expert', () => {
    const pools = planSlots({ ...base, slotBytes: [100, 150, 100], budgetBytes: 1_000 + 450 });
    expect(pools).toEqual([{ layers: [0, 2, 1], slots: 3 }]);
    expect(() => planSlots({ ...base, slotBytes: [100, 150, 100], budgetBytes: 1_000 + 299 })).toThrow(MixtabError);
  });

  it('names the minimum where the budget is too small', () => {
    const run = () => planSlots({ ...base, fixedBytes: 5e6, slotBytes: [1e6, 1e6, 1e6], budgetBytes: 6e6 });
    expect(run).toThrow(MixtabError);
    expect(run).toThrow(/at least 7 MB/);
  });
});

describe('planSlots for any budget', () => {
  const sizes = fc.array(fc.constantFrom(100, 150, 70), { minLength: 1, maxLength: 40 });
  it('stays within it, gives each layer one pool, and never too few or too many slots', () => {
    fc.assert(
      fc.property(sizes, fc.integer({ min: 0, max: 20_000 }), fc.integer({ min: 1, max: 4 }), (slotBytes, spare, expertsPerToken) => {
        const budget: SlotBudget = { budgetBytes: 1_000 + spare, fixedBytes: 1_000, slotBytes, expertCount: 4, expertsPerToken };
        if (spare < expertsPerToken * Math.max(...slotBytes)) {
          expect(() => planSlots(budget)).toThrow(MixtabError);
          return;
        }
        const pools = planSlots(budget);
        expect(pools.flatMap((pool) => pool.layers).sort((a, b) => a - b)).toEqual(slotBytes.map((_, layer) => layer));
        let bytes = 0;
        for (const { layers, slots } of pools) {
          expect(slots).toBeGreaterThanOrEqual(expertsPerToken);
          expect(slots).toBeLessThanOrEqual(4 * layers.length);
          bytes += slots * Math.max(...layers.map((layer) => slotBytes[layer]));
        }
        expect(bytes).toBeLessThanOrEqual(spare);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('planPromptRows', () => {
  const budget = { fixedBytes: 1000, slotBytes: [100, 100, 100], expertCount: 4, expertsPerToken: 2 };
  const rows = { least: 8, most: 40, step: 8, bytesEach: 10 };

  it.each([
    [1200, 8], // the least budget there is
    [1359, 8], // half of what is left makes 7 rows, no whole step
    [1360, 16],
    [1800, 32],
    [1840, 40],
    [9999, 40],
  ])('a budget of %i: %i rows', (budgetBytes, expected) => {
    expect(planPromptRows({ ...budget, budgetBytes }, rows)).toBe(expected);
  });

  it('takes all that experts leave, where they all have a slot', () => {
    expect(planPromptRows({ ...budget, slotBytes: [10, 10, 10], budgetBytes: 1000 + 120 + 320 }, rows)).toBe(40);
  });

  it('may end within a step where the context does', () => {
    expect(planPromptRows({ ...budget, budgetBytes: 9999 }, { ...rows, most: 37 })).toBe(37);
  });
});

describe('planStretches', () => {
  const mixtral = (context: number, standing: number) => ({
    position: 0, standing, step: 512, rowBytes: 49_168,
    reserveAt: (positions: number) => (context - Math.min(context, Math.ceil(positions / 512) * 512)) * 131_072,
  });

  it.each([
    [32768, 4096, 1000, [1000]],
    [32768, 4096, 24000, [24000]],
    [32768, 4096, 24576, [24576]], // three quarters
    [32768, 4096, 26000, [13312, 12688]],
    [32768, 4096, 32000, [13312, 13312, 5376]],
    [32768, 8192, 32000, [22528, 9472]],
    [32768, 32768, 32767, [32767]], // the standing rows are enough
    [8192, 4096, 6000, [6000]],
    [4800, 4096, 4700, [2560, 2140]], // the last page is the cache's: nothing to borrow
    [2048, 2048, 2000, [2000]],
  ])('Mixtral, a context of %i, %i standing rows, a prompt of %i: %j', (context, standing, tokens, expected) => {
    expect(planStretches({ ...mixtral(context, standing), tokens })).toEqual(expected);
  });

  it('counts what the cache already holds', () => {
    expect(planStretches({ ...mixtral(32768, 4096), position: 20000, tokens: 8000 })).toEqual([8000]);
    expect(planStretches({ ...mixtral(32768, 4096), position: 24000, tokens: 8000 })).toEqual([4096, 3904]);
  });

  it('never takes more than there is, in whole steps but for the last, and no more stretches than without borrowing', () => {
    const some = (min: number, max: number) => fc.integer({ min, max });
    fc.assert(
      fc.property(some(1, 40), some(0, 300), some(1, 300), some(1, 12), some(1, 12), (standingSteps, position, tokens, rowBytes, kvBytes) => {
        const step = 8;
        const standing = standingSteps * step;
        const context = position + tokens;
        const memory = { position, tokens, standing, step, rowBytes, reserveAt: (positions: number) => (context + 50 - positions) * kvBytes };
        const stretches = planStretches(memory);
        let at = position;
        for (const [index, rows] of stretches.entries()) {
          at += rows;
          expect((rows - standing) * rowBytes).toBeLessThanOrEqual(memory.reserveAt(at));
          if (index + 1 < stretches.length) expect(rows % step).toBe(0);
        }
        expect(at).toBe(context);
        expect(stretches.length).toBeLessThanOrEqual(Math.ceil(tokens / standing));
      }),
      { numRuns: 1000 },
    );
  });
});
