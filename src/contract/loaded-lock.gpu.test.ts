/** With the Web Locks of a browser: who may load a model. */
import { expect, it } from 'vitest';
import { LoadedLock } from './loaded-lock.ts';

const tabs = (count: number): LoadedLock[] => Array.from({ length: count }, () => new LoadedLock(crypto.randomUUID()));

it('of several that claim a model at the same time, one gets it, and after that one another', async () => {
  const all = tabs(4);
  const won = await Promise.all(all.map((tab) => tab.claim('mixtral')));
  expect(won.filter(Boolean)).toHaveLength(1);
  let owner = all[won.indexOf(true)];
  const waiting = all.filter((tab) => tab !== owner);
  const order: LoadedLock[] = [];
  const abort = new AbortController();
  const waits = waiting.map((tab) => tab.claimAfterOthers('mixtral', abort.signal).then(() => order.push(tab)));
  for (let ended = 0; ended < waiting.length; ended++) {
    expect(order).toHaveLength(ended);
    await owner.hold(undefined);
    await expect.poll(() => order.length).toBe(ended + 1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    owner = order[ended];
    expect(await new LoadedLock('observer').others()).toHaveLength(1);
  }
  await Promise.all(waits);
  await owner.hold(undefined);
});

it('a turn that does not end is taken over, and one that is given up leaves no lock', async () => {
  let end = (): void => {};
  const stuck = navigator.locks.request('mixtab-loaded-turn', () => new Promise<void>((resolve) => (end = resolve)));
  const robbed = expect(stuck).rejects.toMatchObject({ name: 'AbortError' });
  const [tab, hasty] = tabs(2);
  const abort = new AbortController();
  const givenUp = hasty.claim('mixtral', abort.signal);
  const claim = tab.claim('mixtral');
  abort.abort();
  expect(await givenUp).toBe(false);
  expect(await claim).toBe(true);
  await robbed;
  expect(await tab.others()).toEqual([]);
  await tab.hold(undefined);
  end();
});
