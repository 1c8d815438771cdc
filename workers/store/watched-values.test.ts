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

it('a write of new values has no limit, and reads get its errors as they are', async () => {
  vi.spyOn(own, 'write').mockRejectedValueOnce(new Error('full'));
  await expect(watched.write({ set: [] })).rejects.toThrow('full');
  vi.spyOn(own, 'get').mockRejectedValueOnce(new Error('broken'));
  await expect(watched.get('model/a')).rejects.toThrow('broken');
  vi.spyOn(own, 'write').mockImplementationOnce(() => never);
  void watched.write({ set: [] });
  await vi.advanceTimersByTimeAsync(3600 * SECOND);
  expect(reopen).not.toHaveBeenCalled();
});

it.each<[name: 'update' | 'write', change: () => Promise<unknown>]>([
  ['update', () => watched.update('model/a', () => 'b')],
  ['write', () => watched.write({ delete: ['model/a'], deletePrefix: ['record/a'] })],
])('an %s that is never answered is an error after three minutes, and is not repeated', async (name, change) => {
  const asked = vi.spyOn(own, name).mockImplementation(() => never);
  const result = change().catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(175 * SECOND);
  expect(vi.getTimerCount()).toBe(1); // still watched
  await vi.advanceTimersByTimeAsync(20 * SECOND);
  expect(await result).toMatchObject({
    code: 'storage-unavailable',
    message: "The browser's database has not answered for 180 s.",
  });
  expect(asked).toHaveBeenCalledTimes(1);
});

it('a deletion may take as long as it needs while the database answers others', async () => {
  let done = (): void => {};
  vi.spyOn(own, 'write').mockImplementationOnce(() => new Promise((resolve) => (done = resolve)));
  const deletion = watched.write({ delete: ['model/a'] });
  for (let minute = 0; minute < 10; minute++) {
    await vi.advanceTimersByTimeAsync(60 * SECOND);
    await watched.get('model/b');
  }
  done();
  await deletion;
});
