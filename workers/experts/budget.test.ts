import { describe, expect, it } from 'vitest';
import { MixtabError } from '../../src/contract/errors.ts';
import { planSlots } from './budget.ts';

const base = { fixedBytes: 1_000, slotBytes: [100, 100, 100], expertCount: 8, expertsPerToken: 2 };

describe('planSlots', () => {
  it('gives every expert a slot where the budget allows, and no more', () => {
    expect(planSlots({ ...base, budgetBytes: 1e9 })).toEqual([8, 8, 8]);
    expect(planSlots({ ...base, budgetBytes: 1_000 + 2_400 })).toEqual([8, 8, 8]);
  });

  it('deals what is left out layer by layer', () => {
    expect(planSlots({ ...base, budgetBytes: 1_000 + 800 })).toEqual([3, 3, 2]);
    expect(planSlots({ ...base, budgetBytes: 1_000 + 600 })).toEqual([2, 2, 2]);
  });

  it('counts the bytes of each layer on its own', () => {
    // 2 x 450 are taken; 250 are left: one of 200, then one of 50.
    expect(planSlots({ ...base, slotBytes: [200, 200, 50], budgetBytes: 1_000 + 900 + 250 })).toEqual([3, 2, 3]);
  });

  it('names the minimum where the budget is too small', () => {
    const run = () => planSlots({ ...base, fixedBytes: 5e6, slotBytes: [1e6, 1e6, 1e6], budgetBytes: 10e6 });
    expect(run).toThrow(MixtabError);
    expect(run).toThrow(/at least 11 MB/);
  });
});
