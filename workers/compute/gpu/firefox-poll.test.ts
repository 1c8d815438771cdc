import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { withFirefoxPoll } from './firefox-poll.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function pending() {
  const queue = { submit: vi.fn() };
  let resolve!: (value: string) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<string>((...settle) => {
    [resolve, reject] = settle;
  });
  return { queue, promise, resolve, reject };
}

it('submits nothing in other browsers', async () => {
  const { queue, promise, resolve } = pending();
  const waited = withFirefoxPoll(queue, promise, false);
  await vi.advanceTimersByTimeAsync(500);
  resolve('done');
  expect(await waited).toBe('done');
  expect(queue.submit).not.toHaveBeenCalled();
});

it.each(['done', 'failed'])('submits empty work in Firefox until the promise is %s, and no longer', async (outcome) => {
  const { queue, promise, resolve, reject } = pending();
  const waited = withFirefoxPoll(queue, promise, true).catch((error: Error) => error.message);
  await vi.advanceTimersByTimeAsync(20);
  expect(queue.submit.mock.calls.length).toBeGreaterThanOrEqual(10);
  expect(queue.submit).toHaveBeenLastCalledWith([]);
  if (outcome === 'done') resolve(outcome);
  else reject(new Error(outcome));
  expect(await waited).toBe(outcome);
  const calls = queue.submit.mock.calls.length;
  await vi.advanceTimersByTimeAsync(100);
  expect(queue.submit).toHaveBeenCalledTimes(calls);
});
