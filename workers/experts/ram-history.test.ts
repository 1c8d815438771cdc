import { expect, it } from 'vitest';
import { afterRestart, ramLimit, readRamHistory, whileUsed } from './ram-history.ts';

const HOUR = 60 * 60 * 1000;
const used = whileUsed({}, 8e9, HOUR);

it('a tab that ended by itself leaves half of its budget, and half of that if it happens again, for a day', () => {
  expect(ramLimit({}, 0)).toBe(Number.POSITIVE_INFINITY);
  const once = afterRestart(used, { now: 5 * HOUR, startedAt: 4 * HOUR });
  expect(once).toEqual({ loss: { at: 5 * HOUR, budget: 4e9 } });
  expect(ramLimit(once, 28 * HOUR)).toBe(4e9);
  expect(ramLimit(once, 30 * HOUR)).toBe(Number.POSITIVE_INFINITY);
  const twice = afterRestart(whileUsed(once, 4e9, 6 * HOUR), {
    now: 8 * HOUR,
    startedAt: 7 * HOUR,
    closedAt: 3 * HOUR,
  });
  expect(ramLimit(twice, 9 * HOUR)).toBe(2e9);
});

it('a tab that was closed, or is this one, leaves no limit, and an earlier limit stays', () => {
  expect(afterRestart(used, { now: 5 * HOUR, startedAt: 4 * HOUR, closedAt: 2 * HOUR })).toEqual({});
  expect(afterRestart(used, { now: 5 * HOUR, startedAt: HOUR })).toEqual({});
  const limited = { loss: { at: HOUR, budget: 1e9 } };
  expect(afterRestart(limited, { now: 2 * HOUR, startedAt: 2 * HOUR })).toEqual(limited);
  const closed = whileUsed(limited, 1e9, 2 * HOUR);
  expect(afterRestart(closed, { now: 4 * HOUR, startedAt: 4 * HOUR, closedAt: 3 * HOUR })).toEqual(limited);
});

it.each([undefined, null, 'x', 5, { used: 5 }, { used: { bytes: -1, at: 1 } }, { loss: { at: 'x', budget: 1 } }])(
  'reads %j as no history',
  (value) => {
    expect(readRamHistory(value)).toEqual({});
  },
);

it('reads what it has written', () => {
  const history = { used: { bytes: 1, at: 2 }, loss: { at: 3, budget: 4 } };
  expect(readRamHistory(JSON.parse(JSON.stringify(history)))).toEqual(history);
});
