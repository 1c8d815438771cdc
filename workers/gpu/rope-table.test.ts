import { expect, it } from 'vitest';
import { ropeTable } from './rope-table.ts';

it('holds cosine and sine of position * base^(-2j / dimensions)', () => {
  const table = ropeTable({ ropeDimensionCount: 4, ropeFreqBase: 10000 }, 701);
  expect(table.length).toBe(701 * 4);
  expect([...table.subarray(0, 4)]).toEqual([1, 0, 1, 0]);
  // cos and sin of 700 and of 700 / 100
  const [cos700, sin700, cos7, sin7] = table.subarray(700 * 4);
  expect(cos700).toBeCloseTo(-0.8391043, 6);
  expect(sin700).toBeCloseTo(0.5439705, 6);
  expect(cos7).toBeCloseTo(0.7539023, 6);
  expect(sin7).toBeCloseTo(0.6569866, 6);
});
