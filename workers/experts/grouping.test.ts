import { describe, expect, it } from 'vitest';
import { groupByExpert } from './grouping.ts';

// Three tokens with two experts each: token 0 -> experts 3, 1; token 1 -> 1, 0; token 2 -> 3, 0.
const selectedExperts = [3, 1, 1, 0, 3, 0];

describe('groupByExpert', () => {
  it('lists the assignments of each expert', () => {
    expect(groupByExpert(selectedExperts)).toEqual([
      { expert: 0, assignments: [3, 5] },
      { expert: 1, assignments: [1, 2] },
      { expert: 3, assignments: [0, 4] },
    ]);
  });
});
