import { describe, expect, it } from 'vitest';
import {
  afterLoad,
  afterLoss,
  afterLostLoad,
  afterRates,
  limitsOf,
  readHistory,
  survived,
  whileTrying,
} from './budget-history.ts';

const at = (time: number) => ({ at: time, worker: 'a' });
/** Of worker a, and of b, which was closed an hour later. */
const endsOf = (closedAt?: number, alive?: string) => ({
  isAlive: (worker: string) => worker === alive,
  closedAt: (worker: string) => (worker === 'a' ? closedAt : worker === 'b' ? 2 * HOUR : undefined),
  closings: [],
});

const HOUR = 60 * 60 * 1000;
const none = { budget: Number.POSITIVE_INFINITY, batch: Number.POSITIVE_INFINITY };

describe('the history of budgets', () => {
  it('halves budget and batch after a loss, and again after the next, for a day', () => {
    expect(limitsOf({}, 0)).toEqual(none);
    const once = afterLoss({ good: 8e9 }, { budget: 8e9, batch: 512 }, 0);
    expect(limitsOf(once, HOUR)).toEqual({ budget: 4e9, batch: 256 });
    expect(once.good).toBe(4e9);
    const twice = afterLoss(once, { budget: 4e9, batch: 256 }, HOUR);
    expect(limitsOf(twice, 24.5 * HOUR)).toEqual({ budget: 2e9, batch: 128 });
    expect(limitsOf(twice, 25.5 * HOUR)).toEqual(none);
  });

  it('leaves a budget that the user has set alone, and does not halve a batch for ever', () => {
    expect(limitsOf(afterLoss({}, { batch: 512 }, 0), 1)).toEqual({ ...none, batch: 256 });
    expect(limitsOf(afterLoss({}, { batch: 40 }, 0), 1).batch).toBe(32);
    const both = afterLoss(afterLoss({}, { budget: 8e9, batch: 512 }, 0), { batch: 256 }, 1);
    expect(limitsOf(both, 2)).toEqual({ budget: 4e9, batch: 128 });
  });

  it('halves no budget that cannot have been the cause', () => {
    // A larger one was good; or the model was small, and whatever was lost, it was not for want of memory.
    for (const [good, budget] of [
      [24e9, 60e6],
      [24e9, 8e9],
      [60e6, 60e6],
    ]) {
      const history = afterLoss({ good }, { budget, batch: 512 }, 0);
      expect(limitsOf(history, 1)).toEqual({ ...none, batch: 256 });
      expect(history.good).toBe(good);
    }
  });

  it('remembers the largest good budget', () => {
    expect(afterLoad(afterLoad({}, 4e9), 3e9)).toEqual({ good: 4e9 });
    expect(afterLoad({ good: 4e9 })).toEqual({ good: 4e9 });
  });

  it('takes an attempt that the browser did not survive for a loss of what was tried', () => {
    const trying = whileTrying({ good: 2e9 }, 6e9, at(HOUR));
    expect(limitsOf(survived(trying, endsOf()), 2 * HOUR)).toEqual({ ...none, budget: 3e9 });
    expect(survived(trying, endsOf()).trying).toBeUndefined();
    expect(survived(afterLoad(trying), endsOf())).toEqual({ good: 2e9 });
    expect(whileTrying({ good: 8e9 }, 6e9, at(HOUR))).toEqual({ good: 8e9 });
  });

  it('takes no page that its user closed for one that crashed', () => {
    const trying = whileTrying({ good: 2e9 }, 6e9, at(HOUR));
    expect(survived(trying, endsOf(HOUR + 400))).toEqual({ good: 2e9 }); // whatever was closed later
    // Closed before that step, or long after it, when everything stood still.
    for (const closedAt of [HOUR - 1, HOUR + 20_000]) {
      expect(limitsOf(survived(trying, endsOf(closedAt)), HOUR + 30_000).budget).toBe(3e9);
    }
    // Another page was closed then.
    const other = whileTrying({ good: 2e9 }, 6e9, at(2 * HOUR - 100));
    expect(limitsOf(survived(other, endsOf()), 3 * HOUR).budget).toBe(3e9);
  });

  it('takes no tab that is still trying for one that crashed', () => {
    const trying = whileTrying({ good: 2e9 }, 6e9, at(HOUR));
    expect(survived(trying, endsOf(undefined, 'a'))).toEqual(trying);
  });

  it('blames what a load had tried, or else allocated, if the GPU was lost during the load', () => {
    expect(limitsOf(afterLostLoad(whileTrying({ good: 2e9 }, 6e9, at(1)), 4e9, 2), 3).budget).toBe(3e9);
    expect(limitsOf(afterLostLoad({ good: 8e9 }, 8e9, 2), 3).budget).toBe(4e9);
    expect(afterLostLoad({ good: 8e9 }, undefined, 2)).toEqual({ good: 8e9 });
  });

  it('keeps the highest rates, so that one disturbed measurement does not stay', () => {
    const once = afterRates({ good: 1 }, { readRate: 90e9, copyRate: 10e9, hostCopyRate: 9e9 });
    expect(afterRates(once, { readRate: 400e9 })).toEqual({ ...once, readRate: 400e9 });
    expect(afterRates(once, { readRate: 80e9, copyRate: 50e9, hostCopyRate: 5e9 })).toEqual({
      ...once,
      copyRate: 50e9,
    });
  });

  it('reads only what this version writes', () => {
    const rates = { readRate: 2, copyRate: 3, hostCopyRate: 4 };
    const full = afterLoss({ ...whileTrying({ good: 1 }, 2, at(3)), ...rates }, { batch: 64 }, 4);
    expect(readHistory(full)).toEqual(full);
    expect(readHistory(whileTrying({}, 2, at(3)))).toEqual({ trying: { bytes: 2, ...at(3) } });
    for (const value of [
      undefined,
      null,
      3,
      'good',
      [],
      { good: 'much' },
      { loss: 3, trying: null },
      { good: -1 },
      { readRate: 1 / 0 },
    ]) {
      expect(readHistory(value)).toEqual({});
    }
  });
});
