/** What a database that does not answer costs those who wait for the sessions. The database is a stand-in. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

const never = new Promise<never>(() => {});
const abort = vi.fn();
let answers = true;
/** What is stored under each key. */
let stored: unknown;
vi.mock('idb-keyval', () => ({
  promisifyRequest: async (request: unknown) => request,
  createStore: () => async (_mode: string, work: (store: unknown) => Promise<unknown>) => {
    const result = await work({
      transaction: { abort },
      get: () => stored,
      getAllKeys: () => [],
      getAll: () => [],
    });
    return answers ? result : never;
  },
}));
vi.stubGlobal('IDBKeyRange', { bound: () => ({}) });
const { SessionStore } = await import('./session-store.ts');

beforeEach(() => {
  vi.useFakeTimers();
  abort.mockClear();
  answers = true;
});
afterEach(() => vi.useRealTimers());

it('gives up a database that does not answer after ten seconds, and ends its transaction', async () => {
  answers = false;
  const list = new SessionStore().list();
  list.catch(() => {});
  await vi.advanceTimersByTimeAsync(9000);
  expect(abort).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1000);
  await expect(list).rejects.toMatchObject({
    code: 'storage-unavailable',
    message: "The browser's database has not answered for 10 s.",
  });
  expect([abort.mock.calls.length, vi.getTimerCount()]).toEqual([1, 0]);
});

it('leaves no timer behind if the database answers', async () => {
  expect(await new SessionStore().list()).toEqual([]);
  expect([abort.mock.calls.length, vi.getTimerCount()]).toEqual([0, 0]);
});

it('gives up a part whose file never answers, with an error: the session is not damaged', async () => {
  stored = Object.assign(new Blob(['keys and values']), { arrayBuffer: () => never });
  const part = new SessionStore().part('a', 1, 0);
  part.catch(() => {});
  await vi.advanceTimersByTimeAsync(10_000);
  await expect(part).rejects.toMatchObject({
    code: 'storage-unavailable',
    remedy: expect.stringContaining('reload the page'),
  });
});

it('reads a part as bytes, however it is stored, and none if the browser has lost its file', async () => {
  const bytes = Uint8Array.of(1, 2, 3);
  for (stored of [new Blob([bytes]), bytes.buffer])
    expect(new Uint8Array((await new SessionStore().part('a', 1, 0))!)).toEqual(bytes);
  stored = Object.assign(new Blob([bytes]), {
    arrayBuffer: () => Promise.reject(new DOMException('', 'NotFoundError')),
  });
  expect(await new SessionStore().part('a', 1, 0)).toBeUndefined();
  stored = undefined;
  expect(await new SessionStore().part('a', 1, 0)).toBeUndefined();
});
