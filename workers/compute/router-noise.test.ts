import { expect, it } from 'vitest';
import { threefry2x32 } from '../reference/sample.ts';
import { NOISE_MEAN, noiseStep } from './router-noise.ts';

it('the integer has the mean and the deviation that the step expects, and the tails of a normal distribution', () => {
  const draws = Array.from({ length: 20_000 }, (_, i) => {
    const bytes = new Uint8Array(Uint32Array.from(threefry2x32([1, 2], [i, 3])).buffer);
    return (bytes.reduce((sum, byte) => sum + byte, 0) - NOISE_MEAN) * noiseStep(1);
  });
  const mean = draws.reduce((sum, x) => sum + x, 0) / draws.length;
  const deviation = Math.sqrt(draws.reduce((sum, x) => sum + (x - mean) ** 2, 0) / draws.length);
  expect(Math.abs(mean)).toBeLessThan(4 / Math.sqrt(draws.length));
  expect(Math.abs(deviation - 1)).toBeLessThan(0.02);
  const beyond = (by: number): number => draws.filter((x) => Math.abs(x) > by).length / draws.length;
  expect(beyond(1)).toBeCloseTo(0.317, 1.5);
  expect(beyond(2)).toBeCloseTo(0.0455, 2);
});

it.each([0.001, 0.1, 0.37, 1, 2.5, 1000])('noise of %f has products that f32 holds exactly', (amount) => {
  const step = noiseStep(amount);
  expect(step / (amount / Math.sqrt(43690))).toBeCloseTo(1, 3);
  expect(Math.fround(step)).toBe(step);
  for (let n = -NOISE_MEAN; n <= NOISE_MEAN; n++) expect(Math.fround(n * step)).toBe(n * step);
});

it('no noise is 0', () => expect(noiseStep(0)).toBe(0));
