import { describe, expect, it } from 'vitest';
import { formatFigure, formatShare } from './figures.ts';

describe('figures of a measurement', () => {
  it.each([
    [{ value: 1.2345, unit: 'GB/s' }, '1.23 GB/s'],
    [{ value: 0.00012345, unit: 'ms' }, '0.000123 ms'],
    [{ value: 1234.5, unit: 'us' }, '1,235 us'],
    [{ value: 4294967292, unit: '' }, '4,294,967,292'],
    [{ value: 0, unit: '' }, '0'],
  ])('%o is %s', (row, text) => expect(formatFigure(row)).toBe(text));

  it.each([
    [undefined, ''],
    [0.754, '75 %'],
    [0.0321, '3.2 %'],
    [1.2, '120 %'],
  ])('the share %s is %s', (share, text) => expect(formatShare(share === undefined ? {} : { share })).toBe(text));
});
