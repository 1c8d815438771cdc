import { expect, it } from 'vitest';
import { differs, halfInterval, randomFrom, studentT, studentWithin, wilsonLower } from './statistics.ts';

// Printed tables of Student's t: two-sided confidence, degrees of freedom, t.
it.each([
  [0.95, 1, 12.706],
  [0.95, 2, 4.303],
  [0.95, 3, 3.182],
  [0.95, 10, 2.228],
  [0.99, 15, 2.947],
  [0.999, 20, 3.85],
  [0.95, 60, 2.0],
])('finds the quantile of t in printed tables: %d, %d degrees of freedom', (confidence, freedom, t) => {
  expect(studentT(confidence, freedom)).toBeCloseTo(t, 3 - Math.floor(Math.log10(t)) - 1);
  expect(studentWithin(t, freedom)).toBeCloseTo(confidence, 3);
});

it('widens the interval for few blocks, and the threshold for many comparisons', () => {
  expect(halfInterval(1, 2)).toBeCloseTo(12.706, 2);
  expect(halfInterval(0.1, 61)).toBeCloseTo(0.2, 3);
  expect(differs(2.5, { standardError: 1, blocks: 21, comparisons: 1 })).toBe(true);
  expect(differs(2.5, { standardError: 1, blocks: 21, comparisons: 48 })).toBe(false);
});

it('gives the lower end of the interval of Wilson', () => {
  // 10 of 10 and 8 of 10: values of R's binom.wilson.
  expect(wilsonLower(10, 10)).toBeCloseTo(0.7225, 4);
  expect(wilsonLower(8, 10)).toBeCloseTo(0.4902, 4);
  expect(wilsonLower(0, 5)).toBe(0);
});

it('draws evenly, and the same from the same seed', () => {
  const draw = randomFrom(1);
  const numbers = Array.from({ length: 4000 }, draw);
  expect(numbers.reduce((sum, n) => sum + n, 0) / 4000).toBeCloseTo(0.5, 1);
  expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...numbers)).toBeLessThan(1);
  const again = randomFrom(1);
  expect(numbers.slice(0, 3)).toEqual([again(), again(), again()]);
});
