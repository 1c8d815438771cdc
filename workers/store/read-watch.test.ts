/** Reads that wait without an end are given up, read once more, and then an error. Slow reads are not. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { throwIfAborted } from '../../src/contract/errors.ts';
import { ReadWatch } from './read-watch.ts';

const never = new Promise<never>(() => {});
const SECOND = 1000;

/** A reader that makes progress only if the test says so. */
class FakeReader {
  progress = 0;
  answers = true;
  restarts = 0;
  readonly watch = new ReadWatch({
    progress: () => (this.answers ? Promise.resolve(this.progress) : never),
    restart: () => {
      this.restarts++;
      this.progress = 0; // as a new worker's
    },
  });
  /** The reads that were started, by name. */
  readonly started: string[] = [];

  read(name: string, result: (attempt: number) => Promise<string>): Promise<string> {
    let attempt = 0;
    const read = (): Promise<string> => {
      this.started.push(name);
      return result(++attempt);
    };
    return this.watch.run(read, (seconds) => new Error(`${name}: nothing for ${seconds} s`));
  }
}

let reader: FakeReader;
beforeEach(() => {
  vi.useFakeTimers();
  reader = new FakeReader();
});
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0); // nothing is watched without a read
  vi.useRealTimers();
});

it.each([true, false])('a read that never ends is read again by another reader, which answers: %s', async (answers) => {
  reader.answers = answers;
  const read = reader.read('a', (attempt) => (attempt === 1 ? never : Promise.resolve('bytes')));
  await vi.advanceTimersByTimeAsync(59 * SECOND);
  expect([reader.started, reader.restarts]).toEqual([['a'], 0]);
  await vi.advanceTimersByTimeAsync(11 * SECOND);
  expect(await read).toBe('bytes');
  expect([reader.started, reader.restarts]).toEqual([['a', 'a'], 1]);
});

it('a read that never ends twice is an error, after twice the patience', async () => {
  const read = reader.read('a', () => never);
  read.catch(() => {});
  await vi.advanceTimersByTimeAsync(180 * SECOND);
  expect([reader.started.length, reader.restarts]).toEqual([2, 1]);
  await vi.advanceTimersByTimeAsync(20 * SECOND);
  await expect(read).rejects.toThrow('a: nothing for 120 s');
  expect([reader.started.length, reader.restarts]).toEqual([2, 2]);
});

it('a slow disk is never given up: a piece per minute is progress', async () => {
  let deliver = (_bytes: string): void => {};
  const read = reader.read('a', () => new Promise((resolve) => (deliver = resolve)));
  for (let minute = 0; minute < 60; minute++) {
    await vi.advanceTimersByTimeAsync(55 * SECOND);
    reader.progress++;
  }
  deliver('bytes');
  expect(await read).toBe('bytes');
  expect(reader.restarts).toBe(0);
});

it('the end of any read is progress, whether it succeeds or fails', async () => {
  const slow = reader.read('slow', (attempt) => (attempt === 1 ? never : Promise.resolve('late')));
  for (let n = 0; n < 5; n++) {
    await vi.advanceTimersByTimeAsync(50 * SECOND);
    await reader
      .read('other', async () => {
        if (n % 2) throw new Error('damaged');
        return 'bytes';
      })
      .catch(() => {});
  }
  expect(reader.restarts).toBe(0);
  await vi.advanceTimersByTimeAsync(70 * SECOND);
  expect(await slow).toBe('late');
});

it('all reads of a reader that is given up are read again, each at most once', async () => {
  const first = reader.read('a', () => never);
  first.catch(() => {});
  await vi.advanceTimersByTimeAsync(70 * SECOND);
  const second = reader.read('b', (attempt) => (attempt === 1 ? never : Promise.resolve('b')));
  await vi.advanceTimersByTimeAsync(140 * SECOND);
  await expect(first).rejects.toThrow('a: nothing');
  expect(await second).toBe('b');
  expect(reader.started).toEqual(['a', 'a', 'b', 'b']);
});

it('a read that was cancelled meanwhile is not read again', async () => {
  const controller = new AbortController();
  const read = reader.read('a', (attempt) => {
    if (attempt > 1) throwIfAborted(controller.signal);
    return never;
  });
  read.catch(() => {});
  controller.abort();
  await vi.advanceTimersByTimeAsync(70 * SECOND);
  await expect(read).rejects.toMatchObject({ code: 'aborted' });
});
