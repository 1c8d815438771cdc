import { setTimeout } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { MixtabError } from './errors.ts';
import { expose, proxy, wrap } from './rpc.ts';

/** Has state and a private field, as the services of the workers have. */
class Counter {
  #total = 0;
  #release = (): void => {};

  count(upTo: number, onNumber: (n: number) => void): number {
    for (let n = 1; n <= upTo; n++) {
      onNumber(n);
      this.#total += n;
    }
    return this.#total;
  }

  /** Reports two numbers and then waits for {@link release}. */
  async countSlowly(onNumber: (n: number) => void): Promise<void> {
    onNumber(1);
    onNumber(2);
    await new Promise<void>((resolve) => {
      this.#release = resolve;
    });
  }

  release(): void {
    this.#release();
  }

  fail(onNumber: (n: number) => void): never {
    onNumber(1);
    throw new MixtabError('aborted', 'Stopped.', 'Try again.');
  }
}

const started = () => {
  const { port1, port2 } = new MessageChannel();
  expose(new Counter(), port1);
  return { api: wrap<Counter>(port2), close: () => port2.close() };
};

test('a call ends after its callbacks have been handled, however slow they are', async () => {
  const { api, close } = started();
  const seen: number[] = [];
  const slowly = async (n: number): Promise<void> => {
    await setTimeout(10);
    seen.push(n);
  };
  expect(await api.count(3, proxy(slowly))).toBe(6);
  expect(seen).toEqual([1, 2, 3]);

  await expect(api.fail(proxy(slowly))).rejects.toMatchObject({ code: 'aborted', remedy: 'Try again.' });
  expect(seen).toEqual([1, 2, 3, 1]);
  close();
});

test('frequent calls of a callback share messages, and none waits longer than a moment', async () => {
  const { api, close } = started();
  const messages = vi.spyOn(MessagePort.prototype, 'postMessage');
  const seen: number[] = [];
  await api.count(
    500,
    proxy((n) => seen.push(n)),
  );
  expect(seen).toEqual(Array.from({ length: 500 }, (_, i) => i + 1));
  // The call and its result, the first number and the others, each with its answer.
  expect(messages.mock.calls.length).toBeLessThanOrEqual(6);
  messages.mockRestore();

  const slow = api.countSlowly(proxy((n) => seen.push(n)));
  await vi.waitFor(() => expect(seen.slice(500)).toEqual([1, 2]));
  await api.release();
  await slow;
  close();
});

test('a callback that fails is reported and does not fail the call', async () => {
  const { api, close } = started();
  const report = vi.spyOn(console, 'error').mockImplementation(() => {});
  const failing = (): never => {
    throw new Error('the listener broke');
  };
  expect(await api.count(2, proxy(failing))).toBe(3);
  expect(report).toHaveBeenCalledTimes(2);
  report.mockRestore();
  close();
});
