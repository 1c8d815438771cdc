import { expect, it } from 'vitest';
import { clockStepOf, LEAST_CLOCK_STEPS, timeSamples } from './clock-step.ts';

/** A clock whose true time advances by `readingMs` per reading, rounded down to whole steps. */
function clockOf(step: number, readingMs: number, interruptedAt = -1): () => number {
  let time = 0.37;
  let readings = 0;
  return () => {
    time += readings++ === interruptedAt ? 7.3 * step : readingMs;
    return Math.floor(time / step) * step;
  };
}

it.each([0.005, 0.1, 1])('finds steps of %d ms', (step) => {
  expect(clockStepOf(clockOf(step, 5e-5))).toBeCloseTo(step, 6);
});

it('ignores an interruption', () => {
  expect(clockStepOf(clockOf(0.1, 5e-5, 100))).toBeCloseTo(0.1, 6);
});

it('takes no coarse clock for a finer one, and ends with one that stands still', () => {
  for (const step of [100 / 6, 100]) expect(clockStepOf(clockOf(step, 5e-5))).toBeGreaterThanOrEqual(step - 1e-6);
  expect(clockStepOf(() => 5)).toBe(100);
});

it.each([0, 0.1, 1, 16])('times what takes 0.3 ms to within a step of five, with a clock of %d ms', async (step) => {
  let time = 0.37;
  const now = () => (step > 0 ? Math.floor(time / step) * step : time);
  const run = () => {
    time += 0.3;
  };
  const samples = await timeSamples(4, { now, clockStepMs: step }, run);
  expect(samples).toHaveLength(4);
  for (const ms of samples) expect(Math.abs(ms / 0.3 - 1)).toBeLessThan(1 / LEAST_CLOCK_STEPS + 0.01);
});

it('finds the clock of this machine fine', () => {
  expect(clockStepOf()).toBeLessThan(0.5);
});
