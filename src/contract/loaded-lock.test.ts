import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { LOADED_LOCK_PREFIX, LoadedLock } from './loaded-lock.ts';

/** Locks that were requested and not granted yet. */
let waiting: (() => void)[];
/** Names of the locks that are held. */
let held: Set<string>;

beforeEach(() => {
  waiting = [];
  held = new Set();
  vi.stubGlobal('navigator', {
    locks: {
      query: async () => ({ held: [...held].map((name) => ({ name })) }),
      request: (name: string, callback: () => Promise<void>) =>
        new Promise<void>((resolve) => {
          waiting.push(async () => {
            held.add(name);
            await callback();
            held.delete(name);
            resolve();
          });
        }),
    },
  });
});
afterEach(() => vi.unstubAllGlobals());

const grantAll = async (): Promise<void> => {
  for (const grant of waiting.splice(0)) grant();
  await new Promise((resolve) => setTimeout(resolve));
};

it('holds the lock of one model, which others see', async () => {
  const lock = new LoadedLock('tab-1');
  const other = new LoadedLock('tab-2');
  const held = lock.hold('mixtral');
  await grantAll();
  await held;
  const name = `${LOADED_LOCK_PREFIX}mixtral/tab-1`;
  expect(await other.others()).toEqual([{ name, modelId: 'mixtral' }]);
  expect(await lock.others()).toEqual([]);
  await lock.hold(undefined);
  await grantAll();
  expect(await other.others()).toEqual([]);
});

it('gives up a lock that the browser grants when another model was chosen already', async () => {
  const lock = new LoadedLock('tab-1');
  void lock.hold('mixtral');
  void lock.hold('story');
  await grantAll();
  expect([...held]).toEqual([`${LOADED_LOCK_PREFIX}story/tab-1`]);
  void lock.hold('mixtral');
  await lock.hold(undefined);
  await grantAll();
  expect([...held]).toEqual([]);
});
