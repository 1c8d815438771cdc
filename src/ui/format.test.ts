import { expect, it } from 'vitest';
import { formatCount, formatDuration } from './format.ts';

it('formats numbers as people read them', () => {
  expect(formatCount(393_216)).toBe('393,216');
  expect([formatCount(512), formatCount(21_900_000), formatCount(46.7e9)]).toEqual(['512', '21.9 M', '46.7 B']);
  expect([formatDuration(3.2), formatDuration(200), formatDuration(7400), formatDuration(Number.NaN)]).toEqual([
    '4 s',
    '3 min 20 s',
    '2 h 3 min',
    '',
  ]);
});
