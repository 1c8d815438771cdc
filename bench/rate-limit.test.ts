import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { RateLimit } from './rate-limit.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'performance'], now: 0 });
});
afterEach(() => {
  vi.useRealTimers();
});

const after = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A limit of 1000 bytes per second, and the arrival time of each answer in milliseconds from now. */
function limited() {
  const limit = new RateLimit();
  limit.bytesPerSecond = 1000;
  const start = performance.now();
  const arrived: Record<string, number> = {};
  return {
    limit,
    arrived,
    request: (
      name: string,
      bytes: number,
      answer: Promise<unknown> = Promise.resolve(),
      signal?: AbortSignal,
    ): void => {
      const record = (what: string) => (): void => {
        arrived[what] = performance.now() - start;
      };
      void limit.delay(bytes, answer, signal).then(record(name), record(`${name} cancelled`));
    },
  };
}

test('answers arrive one after another, each after the time that its bytes take', async () => {
  const { request, arrived } = limited();
  request('a', 100);
  request('b', 50);
  await vi.advanceTimersByTimeAsync(10);
  request('c', 200); // while a is being transferred
  await vi.advanceTimersByTimeAsync(1000);
  expect(arrived).toEqual({ a: 100, b: 150, c: 350 });
});

test('idle time gives no credit', async () => {
  const { request, arrived } = limited();
  request('a', 100);
  await vi.advanceTimersByTimeAsync(500);
  request('b', 100);
  request('c', 100);
  await vi.advanceTimersByTimeAsync(1000);
  expect(arrived).toEqual({ a: 100, b: 600, c: 700 });
});

test('an answer that takes longer than its transfer is not delayed, nor is the next one', async () => {
  const { request, arrived } = limited();
  request('a', 100, after(80));
  request('b', 100, after(450));
  request('c', 100);
  await vi.advanceTimersByTimeAsync(1000);
  expect(arrived).toEqual({ a: 100, b: 450, c: 300 });
});

test('nothing is delayed without a rate, and a new rate applies to later requests', async () => {
  const { limit, request, arrived } = limited();
  limit.bytesPerSecond = Number.POSITIVE_INFINITY;
  request('a', 1e9);
  limit.bytesPerSecond = 500;
  request('b', 100);
  await vi.advanceTimersByTimeAsync(1000);
  expect(arrived).toEqual({ a: 0, b: 200 });
});

test('an error is not delayed', async () => {
  const { limit } = limited();
  await expect(limit.delay(1000, Promise.reject(new Error('gone')))).rejects.toThrow('gone');
});

test('a cancelled request has used the time until then, and the next one starts at once', async () => {
  const { request, arrived } = limited();
  const [running, queued, done] = [new AbortController(), new AbortController(), new AbortController()];
  request('a', 100, undefined, done.signal);
  request('b', 200, undefined, running.signal);
  request('c', 300, undefined, queued.signal);
  request('d', 50);
  await vi.advanceTimersByTimeAsync(120);
  queued.abort();
  done.abort(); // too late
  await vi.advanceTimersByTimeAsync(30);
  running.abort();
  await vi.advanceTimersByTimeAsync(1000);
  expect(arrived).toEqual({ a: 100, 'c cancelled': 120, 'b cancelled': 150, d: 200 });
});
