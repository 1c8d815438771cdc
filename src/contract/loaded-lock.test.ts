import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeLocks } from './fake-locks-testing.ts';
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

describe('of several tabs that want a model', () => {
  const TURN = 'mixtab-loaded-turn';
  let locks: FakeLocks;
  beforeEach(() => {
    locks = new FakeLocks();
    vi.stubGlobal('navigator', { locks });
    vi.useFakeTimers();
    return () => vi.useRealTimers();
  });
  const names = (): string[] => locks.names(LOADED_LOCK_PREFIX);
  const nameOf = (owner: string): string => `${LOADED_LOCK_PREFIX}mixtral/${owner}`;

  it('one gets it, and the next one once that has none any more', async () => {
    const tabs = ['tab-1', 'tab-2', 'tab-3'].map((owner) => new LoadedLock(owner));
    const won = await Promise.all(tabs.map((tab) => tab.claim('mixtral')));
    expect(won).toEqual([true, false, false]);
    expect(names()).toEqual([nameOf('tab-1')]);
    await tabs[0].hold(undefined);
    await vi.advanceTimersByTimeAsync(0);
    expect(await tabs[1].claim('mixtral')).toBe(true);
    expect(names()).toEqual([nameOf('tab-2')]);
  });

  it('none gets it while another one changes its model, however late the browser grants the new lock', async () => {
    const tab = new LoadedLock('tab-1');
    await tab.hold('mixtral');
    const request = locks.request.bind(locks);
    vi.spyOn(locks, 'request').mockImplementationOnce(async (...args) => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      return request(...args);
    });
    void tab.hold('story');
    await vi.advanceTimersByTimeAsync(50);
    expect(names()).toEqual([nameOf('tab-1')]);
    expect(await new LoadedLock('tab-2').claim('mixtral')).toBe(false);
    await vi.advanceTimersByTimeAsync(100);
    expect(names()).toEqual([`${LOADED_LOCK_PREFIX}story/tab-1`]);
  });

  it('each gets it in turn after the one before', async () => {
    const [first, ...others] = ['tab-1', 'tab-2', 'tab-3'].map((owner) => new LoadedLock(owner));
    await first.claim('mixtral');
    const order: number[] = [];
    const waits = others.map((tab, index) =>
      tab.claimAfterOthers('mixtral', new AbortController().signal).then(() => order.push(index)),
    );
    for (const expected of [1, 2]) {
      await vi.advanceTimersByTimeAsync(100);
      expect(order).toHaveLength(expected - 1);
      expect(names()).toHaveLength(1);
      locks.close(names()[0]);
      await waits[expected - 1];
    }
    expect(order).toEqual([0, 1]);
  });

  it('one that is frozen in its turn is waited for five seconds, and does not get it when it continues', async () => {
    const { query } = locks;
    let resume = (): void => {};
    vi.spyOn(locks, 'query').mockImplementationOnce(async () => {
      const answer = await query.call(locks);
      await new Promise<void>((resolve) => (resume = resolve));
      return answer;
    });
    const frozen = new LoadedLock('frozen').claim('mixtral');
    await vi.advanceTimersByTimeAsync(0);
    let won: boolean | undefined;
    void new LoadedLock('other').claim('mixtral').then((result) => (won = result));
    await vi.advanceTimersByTimeAsync(4900);
    expect(won).toBeUndefined();
    await vi.advanceTimersByTimeAsync(200);
    expect(won).toBe(true);
    resume();
    expect(await frozen).toBe(false);
    expect(names()).toEqual([nameOf('other')]);
    expect(locks.names(TURN)).toEqual([]);
  });

  it('one can give up while it waits for its turn', async () => {
    void locks.request(TURN, () => new Promise(() => {}));
    const abort = new AbortController();
    const claim = new LoadedLock('tab-1').claim('mixtral', abort.signal);
    abort.abort();
    expect(await claim).toBe(false);
    expect(names()).toEqual([]);
  });

  it('one waits no longer than 20 s for a browser that does not answer, nor for one that blocks locks', async () => {
    vi.stubGlobal('navigator', { locks: { request: () => new Promise(() => {}), query: () => new Promise(() => {}) } });
    const claim = new LoadedLock('tab-1').claim('mixtral');
    await vi.advanceTimersByTimeAsync(20_000);
    expect(await claim).toBe(true);
    const blocked = () => Promise.reject(new DOMException('no', 'SecurityError'));
    vi.stubGlobal('navigator', { locks: { request: blocked, query: blocked } });
    expect(await new LoadedLock('tab-1').claim('mixtral')).toBe(true);
  });
});
