/** How long a side of the exchange keeps a core busy before it sleeps. */
import { afterEach, expect, it, vi } from 'vitest';
import { ExchangeCaller, PING } from './shared-exchange.ts';

afterEach(() => void vi.restoreAllMocks());

/**
 * Waits for a thread that does not exist, with a clock that has moved on at each of its readings.
 * @param clock milliseconds, by the number of readings before
 * @returns how often the clock was read
 */
function readingsOf(clock: (readings: number) => number): number {
  const exchange = new ExchangeCaller(1);
  exchange.request(PING, []);
  let readings = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => clock(readings++));
  expect(exchange.answer(0)).toBeUndefined();
  return readings;
}

it('looks for a fraction of a millisecond before it sleeps', () => {
  expect(readingsOf((n) => n * 0.1)).toBeLessThan(6);
});

it('sleeps soon, too, while a coarse clock stands still', () => {
  // Each reading stands for thousands of looks. Were the clock to decide, 16 or 100 ms would pass.
  expect(readingsOf((n) => (n < 50_000 ? 0 : 100))).toBeLessThan(1000);
});
