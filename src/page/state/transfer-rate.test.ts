import { expect, it } from 'vitest';
import { addSample, bytesPerSecond, newRate, type Rate } from './transfer-rate.ts';

const steady = (rate: Rate, from: number, to: number, startBytes: number, perMs: number): Rate => {
  for (let at = from; at <= to; at += 500) rate = addSample(rate, startBytes + (at - from) * perMs, at);
  return rate;
};

it('follows the current speed of the network', () => {
  let rate = steady(newRate(), 0, 20_000, 0, 10);
  expect(bytesPerSecond(rate)).toBeCloseTo(10_000);
  rate = steady(rate, 20_500, 40_000, 200_000, 1);
  expect(bytesPerSecond(rate)).toBeCloseTo(1000);
});

it('is undefined at first, and 0 at a standstill', () => {
  expect(bytesPerSecond(newRate())).toBeUndefined();
  expect(bytesPerSecond(addSample(addSample(newRate(), 0, 0), 5, 100))).toBeUndefined();
  expect(bytesPerSecond(addSample(addSample(newRate(), 7, 0), 7, 60_000))).toBe(0);
});
