import { expect, it } from 'vitest';
import { formatBytes, formatCount, formatDuration } from './format.ts';

it('formats numbers as people read them', () => {
  expect([formatBytes(999), formatBytes(2_500_000), formatBytes(23_700_000), formatBytes(26.4e9)]).toEqual([
    '1 kB',
    '2.5 MB',
    '24 MB',
    '26.4 GB',
  ]);
  expect([formatCount(512), formatCount(21_900_000), formatCount(46.7e9)]).toEqual(['512', '21.9 M', '46.7 B']);
  expect([formatDuration(3.2), formatDuration(200), formatDuration(7400), formatDuration(Number.NaN)]).toEqual([
    '4 s',
    '3 min 20 s',
    '2 h 3 min',
    '',
  ]);
});
