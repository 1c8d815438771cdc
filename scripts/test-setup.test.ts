import { expect, it } from 'vitest';

it('compares a million numbers of typed arrays in less than six seconds, which Vitest takes', () => {
  const large = Float32Array.from({ length: 1_000_000 }, (_, i) => i);
  const before = performance.now();
  expect({ large: [large] }).toEqual({ large: [large.slice()] });
  expect(performance.now() - before).toBeLessThan(2000);
});

it.each([
  ['of another number', Float32Array.of(1, 2, 4)],
  ['of another length', Float32Array.of(1, 2)],
  ['of another type', Int32Array.of(1, 2, 3)],
])('still tells typed arrays %s apart', (_, other) => {
  expect(Float32Array.of(1, 2, 3)).not.toEqual(other);
  expect(() => expect(Float32Array.of(1, 2, 3)).toEqual(other)).toThrow('to deeply equal');
});

it('takes numbers for equal that have other bytes', () => {
  expect(Float32Array.of(Number.NaN, 2)).toEqual(new Float32Array(Uint32Array.of(0x7fc00001, 0x40000000).buffer));
});
