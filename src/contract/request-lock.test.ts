import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { holdRequests, sendRequest } from './request-lock.ts';

/** The locks of a browser, in the order of the specification: a request waits for all before it. */
class FakeLocks {
  #last: Promise<unknown> = Promise.resolve();
  #shared: Promise<unknown>[] = [];

  async request(_name: string, options: { mode?: 'shared'; signal?: AbortSignal }, work: () => Promise<unknown>) {
    if (options.mode === 'shared') {
      const result = this.#last.then(work);
      this.#shared.push(result.catch(() => {}));
      return result;
    }
    let isAborted = false;
    const aborted = new Promise((_, reject) =>
      options.signal?.addEventListener('abort', () => {
        isAborted = true;
        reject(new DOMException('aborted', 'AbortError'));
      }),
    );
    const granted = Promise.all([this.#last, ...this.#shared.splice(0)]).then(() => (isAborted ? undefined : work()));
    this.#last = Promise.race([granted, aborted.catch(() => {})]);
    return Promise.race([granted, aborted]);
  }
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('navigator', { locks: new FakeLocks() });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it('holds requests back until it is released, and waits for those that were sent', async () => {
  let answer = (_: string): void => {};
  const first = sendRequest(() => new Promise<string>((resolve) => (answer = resolve)));
  await vi.advanceTimersByTimeAsync(0);
  const held = vi.fn();
  const hold = holdRequests().then((release) => {
    held();
    return release;
  });
  const send = vi.fn(async () => 'second');
  const second = sendRequest(send);
  await vi.advanceTimersByTimeAsync(1000);
  expect([held.mock.calls.length, send.mock.calls.length]).toEqual([0, 0]);
  answer('first');
  expect(await first).toBe('first');
  const release = await hold;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(send).not.toHaveBeenCalled();
  release();
  expect(await second).toBe('second');
});

it('waits three seconds at most for a request without an answer, and lets others go then', async () => {
  void sendRequest(() => new Promise(() => {}));
  await vi.advanceTimersByTimeAsync(0);
  const held = vi.fn();
  void holdRequests().then(held);
  const second = sendRequest(async () => 'second');
  await vi.advanceTimersByTimeAsync(2900);
  expect(held).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(100);
  expect(held).toHaveBeenCalled();
  expect(await second).toBe('second');
});

it.each([
  ['has no locks', {}],
  ['blocks locks', { locks: { request: () => Promise.reject(new DOMException('no', 'SecurityError')) } }],
])('a browser that %s sends requests, and errors reach their sender', async (_, navigator) => {
  vi.stubGlobal('navigator', navigator);
  (await holdRequests())();
  expect(await sendRequest(async () => 1)).toBe(1);
  const send = vi.fn(() => Promise.reject(new TypeError('network')));
  await expect(sendRequest(send)).rejects.toThrow('network');
  expect(send).toHaveBeenCalledTimes(1);
});
