import { afterEach, expect, it, vi } from 'vitest';
import { fetchCode } from './fetch-code.ts';

afterEach(() => void vi.useRealTimers());

it('code that is missing is an error that says to reload the page', async () => {
  expect(await fetchCode('adds', async () => 3)).toBe(3);
  const missing = fetchCode('adds', () => Promise.reject(new TypeError('Failed to fetch dynamically imported module')));
  await expect(missing).rejects.toMatchObject({
    code: 'worker-unavailable',
    message: expect.stringContaining('The part of mixtab that adds could not be loaded (TypeError: Failed to fetch'),
    remedy: expect.stringContaining('reload the page'),
  });
});

it('code that does not arrive is not waited for without end', async () => {
  vi.useFakeTimers();
  const ended = vi.fn();
  fetchCode('adds', () => new Promise(() => {})).catch(ended);
  await vi.advanceTimersByTimeAsync(59_000);
  expect(ended).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1000);
  expect(ended.mock.lastCall![0]).toMatchObject({
    code: 'worker-unavailable',
    message: 'The part of mixtab that adds could not be loaded (Error: nothing arrived for 60 s).',
    remedy: expect.stringContaining('reload the page'),
  });
});
