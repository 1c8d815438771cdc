import { describe, expect, it } from 'vitest';
import { decideVariant } from './decide.ts';

const decide = (times: Record<string, number[]>, clockError = 0) =>
  decideVariant({ times: new Map(Object.entries(times)), clockError }, 'standard');

/** Times around `mean`, with a slow drift that all variants share, and outliers of ten times. */
function noisy(mean: number, seed: number, turns = 7): number[] {
  let state = seed;
  const random = () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    return state / 2 ** 32;
  };
  return Array.from(
    { length: turns },
    (_, turn) => mean * (1 + turn * 0.2) * (0.98 + 0.04 * random()) * (random() < 0.1 ? 10 : 1),
  );
}

describe('decideVariant', () => {
  it('chooses the fastest', () => {
    expect(decide({ standard: [10, 10, 10], fast: [8, 8, 8], faster: [5, 5, 5], slow: [20, 20, 20] })).toBe('faster');
  });

  it('keeps the standard unless another is clearly faster', () => {
    expect(decide({ standard: [10, 10, 10], same: [9.8, 9.8, 9.8] })).toBe('standard');
    expect(decide({ standard: [10, 10, 10, 10], lucky: [5, 5, 11, 11] })).toBe('standard');
    expect(decide({ standard: [] })).toBe('standard');
  });

  it('chooses nothing that may be faster only because of the steps of the clock', () => {
    const times = { standard: [21, 21, 21], other: [19, 19, 19] };
    expect(decide(times, 0.01)).toBe('other');
    expect(decide(times, 0.05)).toBe('standard');
  });

  it('compares times of the same turn, whatever the clock of the GPU does', () => {
    expect(decide({ standard: [10, 20, 40], other: [9, 18, 36] })).toBe('other');
    expect(decide({ standard: [10, 20, 40], other: [10, 20, 38] })).toBe('standard');
  });

  it('is right in spite of noise, a drift and outliers', () => {
    const decisions: string[] = [];
    for (let seed = 1; seed <= 100; seed++) {
      const standard = noisy(10, seed);
      decisions.push(decide({ standard, half: noisy(5, seed + 1000) }));
      expect(decide({ standard, slower: noisy(11, seed + 1000) })).toBe('standard');
    }
    // With a tenth of outliers, two of three turns are sometimes spoiled; then nothing is lost but speed.
    expect(decisions.filter((name) => name === 'half').length).toBeGreaterThanOrEqual(90);
  });

  it('never chooses a variant that failed or lacks turns', () => {
    expect(decide({ standard: [10, 10], broken: [Number.POSITIVE_INFINITY, 1] })).toBe('standard');
    expect(decide({ standard: [10, 10], nothing: [Number.NaN, 1] })).toBe('standard');
    expect(decide({ standard: [10, 10], partial: [1] })).toBe('standard');
    expect(decide({ standard: [0, 0], other: [1, 1] })).toBe('standard');
    expect(decide({ other: [1, 1] })).toBe('standard');
  });
});
