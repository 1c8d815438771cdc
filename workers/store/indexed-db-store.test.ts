/** Reads of a database that does not answer. The database is a stand-in, and its connections answer as the test says. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

type Behaviour =
  | 'answers'
  /** A transaction begins, and its reads are never answered. */
  | 'hangs'
  /** No transaction begins. */
  | 'never opens'
  /** As after the browser has closed the connection. */
  | 'is closed';

const never = new Promise<never>(() => {});
const abort = vi.fn();
/** Of the first connection, the second, ...; further ones answer. */
let behaviours: Behaviour[];
let opened: number;
vi.mock('idb-keyval', () => ({
  promisifyRequest: async (request: unknown) => request,
  createStore: () => {
    const behaviour = behaviours[opened++] ?? 'answers';
    return (_mode: string, work: (store: unknown) => Promise<unknown>) => {
      if (behaviour === 'never opens') return never;
      if (behaviour === 'is closed') return Promise.reject(new DOMException('closed', 'InvalidStateError'));
      let end = (_error: unknown): void => {};
      const hanging = new Promise((_resolve, reject) => (end = reject));
      const answer = behaviour === 'hangs' ? hanging : [{ name: 'Tiny', importedAt: 1 }];
      const transaction = {
        abort: () => {
          abort();
          end(new DOMException('aborted', 'AbortError'));
        },
      };
      return work({ transaction, getAll: () => answer });
    };
  },
}));
vi.stubGlobal('IDBKeyRange', { bound: () => ({}) });
const { IndexedDbStore } = await import('./indexed-db-store.ts');

const SECOND = 1000;
beforeEach(() => {
  vi.useFakeTimers();
  abort.mockClear();
  opened = 0;
});
afterEach(() => vi.useRealTimers());

it.each<Behaviour>(['hangs', 'never opens'])(
  'a list of models is read over a new connection if one %s',
  async (first) => {
    behaviours = [first];
    const list = new IndexedDbStore().listManifests();
    await vi.advanceTimersByTimeAsync(59 * SECOND);
    expect([opened, abort.mock.calls.length]).toEqual([1, 0]);
    await vi.advanceTimersByTimeAsync(11 * SECOND);
    expect(await list).toMatchObject([{ name: 'Tiny' }]);
    // What was given up is ended, and not tried again by itself.
    expect([opened, abort.mock.calls.length]).toEqual([2, first === 'hangs' ? 1 : 0]);
    await vi.advanceTimersByTimeAsync(2 * SECOND); // the error of the aborted transaction asks for the free space
    expect(vi.getTimerCount()).toBe(0);
  },
);

it('it is an error if the new connection does not answer either, and the next list works', async () => {
  behaviours = ['hangs', 'hangs'];
  const store = new IndexedDbStore();
  const list = store.listManifests();
  list.catch(() => {});
  await vi.advanceTimersByTimeAsync(180 * SECOND);
  expect(opened).toBe(2);
  await vi.advanceTimersByTimeAsync(20 * SECOND);
  await expect(list).rejects.toMatchObject({
    code: 'storage-unavailable',
    message: "The browser's database has not answered for 120 s.",
    remedy: expect.stringContaining('restart the browser'),
  });
  expect(await store.listManifests()).toMatchObject([{ name: 'Tiny' }]);
});

it('a connection that the browser has closed is replaced at once', async () => {
  behaviours = ['is closed'];
  expect(await new IndexedDbStore().listManifests()).toMatchObject([{ name: 'Tiny' }]);
  expect([opened, vi.getTimerCount()]).toEqual([2, 0]);
});
