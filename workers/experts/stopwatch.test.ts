import { expect, it } from 'vitest';
import { Stopwatch } from './stopwatch.ts';

function deferred<T>() {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((yes, no) => ([resolve, reject] = [yes, no]));
  return { promise, resolve, reject };
}

it('counts overlapping work once, including pending work', async () => {
  let now = 100;
  const watch = new Stopwatch(() => now);
  const [first, second] = [deferred<number>(), deferred<void>()];
  const a = watch.during(first.promise);
  now = 110;
  const b = watch.during(second.promise);
  expect(watch.ms).toBe(10);
  first.resolve(7);
  expect(await a).toBe(7);
  now = 115;
  expect(watch.ms).toBe(15);
  second.reject(new Error('lost'));
  await expect(b).rejects.toThrow('lost');
  now = 200;
  expect(watch.ms).toBe(15);
  await watch.during(Promise.resolve());
  expect(watch.ms).toBe(15);
});

it('can exclude the time of another stopwatch through its clock', async () => {
  let now = 100;
  const experts = new Stopwatch(() => now);
  const gpu = new Stopwatch(() => now - experts.ms);
  const [computed, read] = [deferred<void>(), deferred<void>()];
  const computing = gpu.during(computed.promise);
  now = 110;
  const reading = experts.during(read.promise);
  now = 140;
  expect([gpu.ms, experts.ms]).toEqual([10, 30]);
  read.resolve();
  await reading;
  now = 145;
  computed.resolve();
  await computing;
  now = 200;
  expect([gpu.ms, experts.ms]).toEqual([15, 30]);
});
