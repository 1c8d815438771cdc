import { describe, expect, it } from 'vitest';
import { KEPT_CLOSINGS } from '../../src/contract/page-facts.ts';
import { afterEnds, afterUse, ramLimit, readRamHistory, whileUsed } from './ram-history.ts';
import type { WorkerEnds } from './worker-ends.ts';

const HOUR = 60 * 60 * 1000;
const GIB = 2 ** 30;
const use = (worker: string, bytes: number, at = HOUR) => ({ worker, bytes, at });

const endsOf = (alive: string[], closings: Record<string, number> = {}): WorkerEnds => ({
  isAlive: (worker) => alive.includes(worker),
  closedAt: (worker) => closings[worker],
  closings: Object.values(closings),
});

describe('the history of main memory', () => {
  it('halves the limit for a day after a worker died, and again, but not below 1 GiB', () => {
    expect(ramLimit({}, 0)).toBe(Number.POSITIVE_INFINITY);
    let history = afterEnds(whileUsed({}, use('a', 8 * GIB)), endsOf([]), 5 * HOUR);
    expect(history).toEqual({ uses: [], loss: { at: 5 * HOUR, budget: 4 * GIB } });
    expect(ramLimit(history, 28 * HOUR)).toBe(4 * GIB);
    expect(ramLimit(history, 30 * HOUR)).toBe(Number.POSITIVE_INFINITY);
    for (const [worker, bytes] of [
      ['b', 4 * GIB],
      ['c', 2 * GIB],
      ['d', GIB],
    ] as const) {
      history = afterEnds(whileUsed(history, use(worker, bytes)), endsOf([]), 6 * HOUR);
      expect(ramLimit(history, 7 * HOUR)).toBe(Math.max(GIB, bytes / 2));
    }
  });

  it('counts no worker that is alive, was closed, or has unloaded its model', () => {
    const [a, b, c] = [use('a', 8 * GIB), use('b', 8 * GIB), use('c', 8 * GIB)];
    const all = [a, b, c].reduce(whileUsed, {});
    expect(afterEnds(all, endsOf(['a', 'b', 'c']), 5 * HOUR)).toEqual({ uses: [a, b, c] });
    expect(afterEnds(afterUse(all, c), endsOf(['a'], { b: 2 * HOUR }), 5 * HOUR)).toEqual({ uses: [a] });
    // Another one that was closed explains nothing.
    expect(afterEnds(all, endsOf(['a'], { b: 2 * HOUR }), 5 * HOUR).loss?.budget).toBe(4 * GIB);
  });

  it('keeps an earlier limit, and counts no worker whose closing may be forgotten', () => {
    const limited = { loss: { at: HOUR, budget: GIB } };
    expect(afterEnds(whileUsed(limited, use('a', GIB)), endsOf([], { a: 1 }), 2 * HOUR)).toEqual({
      uses: [],
      ...limited,
    });
    const closings = Object.fromEntries(Array.from({ length: KEPT_CLOSINGS }, (_, i) => [`x${i}`, 2 * HOUR + i]));
    expect(afterEnds(whileUsed({}, use('a', 8 * GIB)), endsOf([], closings), 5 * HOUR)).toEqual({ uses: [] });
    const later = whileUsed({}, use('a', 8 * GIB, 3 * HOUR));
    expect(afterEnds(later, endsOf([], closings), 5 * HOUR).loss?.budget).toBe(4 * GIB);
  });
});

it.each([
  undefined,
  null,
  'x',
  5,
  { used: { bytes: 1, at: 1 } },
  { uses: 5 },
  { uses: { length: 1 } },
  { loss: { at: 'x', budget: 1 } },
])('reads %j as no history', (value) => {
  expect(readRamHistory(value)).toEqual({});
});

it('reads what it has written, and nothing else', () => {
  const history = { uses: [use('a', 1)], loss: { at: 3, budget: 4 } };
  expect(readRamHistory(JSON.parse(JSON.stringify(history)))).toEqual(history);
  expect(readRamHistory({ uses: [null, 3, { worker: 'a', at: -1, bytes: 1 }] })).toEqual({ uses: [] });
});
