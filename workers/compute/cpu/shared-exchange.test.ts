/** How long a side of the exchange keeps a core busy before it sleeps. */
import { afterEach, expect, it, vi } from 'vitest';
import { ExchangeCaller, ExchangeServer, PING } from './shared-exchange.ts';

afterEach(() => void vi.restoreAllMocks());

/**
 * Waits several times for a thread that does not exist.
 * @param clock what the clock says, in milliseconds, by the number of its readings since `waits` began, and of waits before
 * @returns how often the clock was read in each wait
 */
function readingsOf(waits: number, clock: (readings: number, wait: number) => number): number[] {
  const exchange = new ExchangeCaller(1);
  exchange.request(PING, []);
  return Array.from({ length: waits }, (_, wait) => {
    let readings = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => clock(readings++, wait));
    expect(exchange.answer(0)).toBeUndefined();
    return readings;
  });
}

it('looks for five milliseconds before it sleeps, and for a second after that only briefly', () => {
  const startOfWait = [1000, 1010, 1990, 2000, 2999, 3001];
  expect(readingsOf(6, (n, wait) => startOfWait[wait] + n * 0.25)).toEqual([21, 3, 3, 21, 3, 21]);
});

it('sleeps soon, too, while a coarse clock stands still', () => {
  // Each reading stands for 100 looks, which take 1 to 6 microseconds. Were the clock to decide, 16 or 100 ms would pass.
  const [first, second] = readingsOf(2, (n) => (n < 50_000 ? 5000 : 5100));
  expect(first).toBeLessThan(5100);
  expect(second).toBeLessThan(400);
});

it('a thread without work looks as long for the next work as for the first', () => {
  const server = new ExchangeServer(new ExchangeCaller(1).buffer, () => new Float32Array(0));
  vi.spyOn(Atomics, 'wait').mockReturnValue('timed-out');
  const readings = [0, 10].map((start) => {
    let readings = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => 1000 + start + readings++);
    server.attend(0);
    return readings;
  });
  expect(readings).toEqual([6, 6]);
});
