import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { MemoryValues } from './memory-store.ts';
import { WatchedValues } from './watched-values.ts';

const never = new Promise<never>(() => {});
const SECOND = 1000;
let own: MemoryValues;
const reopen = vi.fn();
let watched: WatchedValues;
beforeEach(() => {
  vi.useFakeTimers();
  reopen.mockReset();
  own = new MemoryValues();
  own.entries.set('model/a', 'a');
  watched = new WatchedValues(own, reopen);
});
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0); // nothing is watched without a read
  vi.useRealTimers();
});

it.each<[name: 'keys' | 'getAll' | 'get' | 'getMany', read: () => Promise<unknown>, expected: unknown]>([
  ['keys', () => watched.keys('model/'), ['model/a']],
  ['getAll', () => watched.getAll('model/'), ['a']],
  ['get', () => watched.get('model/a'), 'a'],
  ['getMany', () => watched.getMany(['model/a']), ['a']],
])('%s that is never answered is repeated once, over a new connection', async (name, read, expected) => {
  vi.spyOn(own, name).mockImplementationOnce(() => never);
  const result = read();
  await vi.advanceTimersByTimeAsync(70 * SECOND);
  expect(await result).toEqual(expected);
  expect(reopen).toHaveBeenCalledTimes(1);
});

it('a read waits behind writes for as long as they end, one per minute', async () => {
  let answer = (_value: string): void => {};
  vi.spyOn(own, 'get').mockImplementation(() => new Promise((resolve) => (answer = resolve)));
  const read = watched.get('model/a');
  for (let minute = 0; minute < 10; minute++) {
    await vi.advanceTimersByTimeAsync(55 * SECOND);
    await watched.write({ set: [['record/b', minute]] });
  }
  answer('late');
  expect(await read).toBe('late');
  expect(reopen).not.toHaveBeenCalled();
});

it('a write has no limit, and reads get its errors as they are', async () => {
  vi.spyOn(own, 'write').mockRejectedValueOnce(new Error('full'));
  await expect(watched.write({})).rejects.toThrow('full');
  vi.spyOn(own, 'get').mockRejectedValueOnce(new Error('broken'));
  await expect(watched.get('model/a')).rejects.toThrow('broken');
  vi.spyOn(own, 'write').mockImplementationOnce(() => never);
  void watched.write({});
  await vi.advanceTimersByTimeAsync(3600 * SECOND);
  expect(reopen).not.toHaveBeenCalled();
});
