import { expect, it } from 'vitest';
import { checkFinite } from './finite.ts';

it('accepts numbers of any size, and no numbers', () => {
  checkFinite(Float32Array.from([0, -0, 3.4e38, -3.4e38, 1e-45]));
  checkFinite([]);
});

it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('finds %d anywhere', (value) => {
  for (const at of [0, 7, 99]) {
    const numbers = new Float32Array(100).fill(1.5);
    numbers[at] = value;
    expect(() => checkFinite(numbers)).toThrow(expect.objectContaining({ code: 'not-finite' }));
  }
});
