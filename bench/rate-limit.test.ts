import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { RateLimit } from './rate-limit.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'performance'], now: 0 });
});
afterEach(() => {
  vi.useRealTimers();
});

const after = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A limit of 1000 bytes a second, and when each answer came, in milliseconds from now, once `runFor` has passed. */
function limited() {
  const limit = new RateLimit();
  limit.bytesPerSecond = 1000;
  const start = performance.now();
  const came: Record<string, number> = {};
  return {
    limit,
    came,
    ask: (name: string, bytes: number, answer: Promise<unknown> = Promise.resolve(), signal?: AbortSignal): void => {
      const note = (what: string) => (): void => {
        came[what] = performance.now() - start;
      };
      void limit.hold(bytes, answer, signal).then(note(name), note(`${name} taken back`));
    },
  };
}

test('answers come one behind the other, each after the time its bytes take', async () => {
  const { ask, came } = limited();
  ask('a', 100);
  ask('b', 50);
  await vi.advanceTimersByTimeAsync(10);
  ask('c', 200); // while a is under way
  await vi.advanceTimersByTimeAsync(1000);
  expect(came).toEqual({ a: 100, b: 150, c: 350 });
});

test('idle time is not made up for', async () => {
  const { ask, came } = limited();
  ask('a', 100);
  await vi.advanceTimersByTimeAsync(500);
  ask('b', 100);
  ask('c', 100);
  await vi.advanceTimersByTimeAsync(1000);
  expect(came).toEqual({ a: 100, b: 600, c: 700 });
});

test('reading goes on meanwhile; where it takes longer, its answer is not held back, nor the one behind it', async () => {
  const { ask, came } = limited();
  ask('a', 100, after(80));
  ask('b', 100, after(450));
  ask('c', 100);
  await vi.advanceTimersByTimeAsync(1000);
  expect(came).toEqual({ a: 100, b: 450, c: 300 });
});

test('without a rate nothing is held back, and a new rate holds for what is asked for from then on', async () => {
  const { limit, ask, came } = limited();
  limit.bytesPerSecond = Number.POSITIVE_INFINITY;
  ask('a', 1e9);
  limit.bytesPerSecond = 500;
  ask('b', 100);
  await vi.advanceTimersByTimeAsync(1000);
  expect(came).toEqual({ a: 0, b: 200 });
});

test('an error comes at once', async () => {
  const { limit } = limited();
  await expect(limit.hold(1000, Promise.reject(new Error('gone')))).rejects.toThrow('gone');
});

test('what is taken back has cost the time until then, and leaves the rest to those behind it', async () => {
  const { ask, came } = limited();
  const [running, queued, done] = [new AbortController(), new AbortController(), new AbortController()];
  ask('a', 100, undefined, done.signal);
  ask('b', 200, undefined, running.signal);
  ask('c', 300, undefined, queued.signal);
  ask('d', 50);
  await vi.advanceTimersByTimeAsync(120);
  queued.abort();
  done.abort(); // too late
  await vi.advanceTimersByTimeAsync(30);
  running.abort();
  await vi.advanceTimersByTimeAsync(1000);
  expect(came).toEqual({ a: 100, 'c taken back': 120, 'b taken back': 150, d: 200 });
});
