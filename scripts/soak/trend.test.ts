import { expect, it } from 'vitest';
import { isFlat, trendOf } from './trend.ts';

const ALLOWED = { share: 0.05, amount: 8 };
const series = (of: (cycle: number) => number): number[] => Array.from({ length: 200 }, (_, cycle) => of(cycle));

it('finds a leak of a fifth of a megabyte per cycle, and one that is hidden by noise', () => {
  expect(isFlat(trendOf(series((cycle) => 150 + 0.2 * cycle)), ALLOWED)).toBe(false);
  expect(isFlat(trendOf(series((cycle) => 150 + 0.2 * cycle + 20 * Math.sin(cycle))), ALLOWED)).toBe(false);
});

it('accepts noise, a warm-up, single peaks and memory that is released', () => {
  expect(isFlat(trendOf(series((cycle) => 150 + 20 * Math.sin(cycle))), ALLOWED)).toBe(true);
  expect(isFlat(trendOf(series((cycle) => Math.min(150, 4 * cycle))), ALLOWED)).toBe(true);
  expect(isFlat(trendOf(series((cycle) => (cycle % 60 === 59 ? 900 : 150))), ALLOWED)).toBe(true);
  expect(isFlat(trendOf(series((cycle) => 300 - cycle)), ALLOWED)).toBe(true);
});
