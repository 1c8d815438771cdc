import { expect, it } from 'vitest';
import { formatBytes } from './format-bytes.ts';

it.each([
  [0, '0 kB'],
  [999, '1 kB'],
  [200_000, '200 kB'],
  [2_500_000, '2.5 MB'],
  [23_700_000, '24 MB'],
  [1_600_000_000, '1.6 GB'],
  [26.4e9, '26.4 GB'],
])('formats %d bytes as %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});
