import { describe, expect, it } from 'vitest';
import { expertIndex } from '../../../src/contract/ids.ts';
import { groupByExpert } from '../../experts/grouping.ts';
import { encodeGroups } from './encode-groups.ts';
import { GROUPS_HEADER_BYTES } from './ops/context.ts';

// Three tokens with two experts each: token 0 -> experts 3, 1; token 1 -> 1, 0; token 2 -> 3, 0.
const selectedExperts = [3, 1, 1, 0, 3, 0];

describe('encodeGroups', () => {
  it('writes (slot, first, count, 0) for each group, then the assignments', () => {
    const words = encodeGroups(groupByExpert(selectedExperts), (expert) => 10 + expert);
    const header = GROUPS_HEADER_BYTES / 4;
    expect([...words.subarray(0, 12)]).toEqual([10, 0, 2, 0, 11, 2, 2, 0, 13, 4, 2, 0]);
    expect([...words.subarray(header)]).toEqual([3, 5, 1, 2, 0, 4]);
  });

  it('rejects more groups than the kernels can hold', () => {
    const groups = Array.from({ length: 257 }, (_, expert) => ({ expert: expertIndex(expert), assignments: [expert] }));
    expect(() => encodeGroups(groups, () => 0)).toThrow(RangeError);
  });
});
