import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { within } from './within.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0); // no timer is left behind
  vi.useRealTimers();
});

/** A wait of ten seconds. */
function waiting() {
  let answer = (_value: string): void => {};
  const work = new Promise<string>((resolve) => (answer = resolve));
  const result = within(10_000, work, () => new Error('too late'));
  result.catch(() => {}); // awaited by the test
  return { result, answer };
}

it('ends with what it waits for, or with an error in time', async () => {
  const { result, answer } = waiting();
  await vi.advanceTimersByTimeAsync(9_999);
  answer('there');
  expect(await result).toBe('there');
  const late = waiting();
  await vi.advanceTimersByTimeAsync(10_000);
  await expect(late.result).rejects.toThrow('too late');
});

it('continues if a machine has slept, whose timers end at once when it wakes up', async () => {
  const { result, answer } = waiting();
  await vi.advanceTimersToNextTimerAsync();
  answer('there');
  expect(await result).toBe('there');
});
