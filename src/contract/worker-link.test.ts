import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { expose } from './rpc.ts';
import { duringDiskCall, startNestedWorker, watchWorker } from './worker-life.ts';
import { type LinkedWorker, WorkerLink } from './worker-link.ts';

interface Api {
  add(a: number, b: number): number;
  never(): void;
  stop(): void;
}

/** A worker in this thread. Without `api`, nothing answers, as if its script had not loaded. */
class FakeWorker extends EventTarget {
  readonly #port: MessagePort;
  readonly ports: MessagePort[];
  terminated = false;

  constructor(api?: object) {
    super();
    const { port1, port2 } = new MessageChannel();
    this.ports = [port1, port2];
    this.#port = port1;
    port1.onmessage = ({ data }: MessageEvent) => this.dispatchEvent(new MessageEvent('message', { data }));
    if (api) expose(api, port2);
  }

  postMessage(message: unknown, transfer: Transferable[] = []): void {
    this.#port.postMessage(message, transfer as never);
  }

  announce(lock: string | null): void {
    this.dispatchEvent(new MessageEvent('message', { data: { mixtabWorker: lock } }));
  }

  tellOfStart(mixtabStartsWorker: boolean): void {
    this.dispatchEvent(new MessageEvent('message', { data: { mixtabStartsWorker } }));
  }

  tellOfDisk(mixtabUsesDisk: boolean): void {
    this.dispatchEvent(new MessageEvent('message', { data: { mixtabUsesDisk } }));
  }

  terminate(): void {
    this.terminated = true;
    for (const port of this.ports) port.close();
  }
}

const api: Api = { add: (a, b) => a + b, never: () => new Promise(() => {}) as never, stop: () => {} };

/** A browser's locks: `release` lets the request for a lock be granted, as when its owner ends. */
function fakeLocks() {
  const granted = new Map<string, () => void>();
  return {
    release: (name: string) => granted.get(name)?.(),
    locks: {
      request: ((name: string, _options: unknown, onGranted: () => void) => {
        granted.set(name, onGranted);
        return new Promise(() => {});
      }) as LockManager['request'],
    },
  };
}

const workers: FakeWorker[] = [];
afterEach(() => {
  for (const worker of workers.splice(0)) worker.terminate();
  vi.useRealTimers();
});

function linkTo(apis: (object | undefined)[]) {
  const { release, locks } = fakeLocks();
  const failures: string[] = [];
  const link = new WorkerLink<Api>({
    start: () => {
      const worker = new FakeWorker(apis[workers.length]);
      workers.push(worker);
      return worker as unknown as LinkedWorker;
    },
    task: 'adds',
    died: { code: 'worker-failed', remedy: 'Load it again.' },
    repeatable: ['add'],
    stopping: 'stop',
    onFailure: ({ code }) => failures.push(code),
    watch: (worker, onEnd) => watchWorker(worker, onEnd, locks),
  });
  return { link, failures, release };
}

it('rejects the calls of a worker whose script does not load, and starts another for the next call', async () => {
  const { link, failures } = linkTo([undefined, api]);
  const calls = [link.api.add(1, 2), link.api.never()];
  workers[0].dispatchEvent(new Event('error'));
  for (const call of calls) {
    await expect(call).rejects.toMatchObject({
      code: 'worker-unavailable',
      message: 'The part of mixtab that adds could not be loaded.',
      remedy: expect.stringContaining('reload the page'),
    });
  }
  expect(failures).toEqual(['worker-unavailable']);
  expect(workers[0].terminated).toBe(true);
  expect(await link.api.add(1, 2)).toBe(3);
});

it('rejects the calls of a worker that ends without an event', async () => {
  const { link, failures, release } = linkTo([api, api]);
  expect(await link.api.add(1, 2)).toBe(3);
  workers[0].announce(null);
  workers[0].announce('life');
  const call = link.api.never();
  workers[0].dispatchEvent(new Event('error')); // of one handler: the worker lives
  expect(failures).toEqual([]);
  release('life');
  await expect(call).rejects.toMatchObject({ code: 'worker-failed', remedy: 'Load it again.' });
  expect(failures).toEqual(['worker-failed']);
  expect(await link.api.add(2, 2)).toBe(4);
});

it('a worker whose disk never answers ends after three minutes, and the next call starts another', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const { link, failures } = linkTo([api, api]);
  const call = link.api.never();
  workers[0].tellOfDisk(true);
  vi.advanceTimersByTime(179_000);
  workers[0].tellOfDisk(false); // a slow disk
  vi.advanceTimersByTime(600_000);
  workers[0].tellOfDisk(true);
  vi.advanceTimersByTime(179_000);
  expect(workers[0].terminated).toBe(false);
  vi.advanceTimersByTime(1000);
  await expect(call).rejects.toMatchObject({
    code: 'storage-unavailable',
    message: 'The disk has not answered the worker that adds for 3 minutes.',
    remedy: expect.stringContaining('what is stored is kept'),
  });
  expect([workers[0].terminated, failures]).toEqual([true, ['storage-unavailable']]);
  expect(await link.api.add(1, 2)).toBe(3);
});

it('a worker says when it waits for the disk, and when it has an answer or an error', () => {
  const notices: unknown[] = [];
  vi.stubGlobal('WorkerGlobalScope', class {});
  vi.stubGlobal('postMessage', (message: unknown) => notices.push(message));
  expect(duringDiskCall(() => notices.length)).toBe(1);
  expect(() =>
    duringDiskCall(() => {
      throw new Error('no');
    }),
  ).toThrow('no');
  expect(notices).toEqual([true, false, true, false].map((mixtabUsesDisk) => ({ mixtabUsesDisk })));
  vi.unstubAllGlobals();
});

it('a connection that stands still ends after a minute', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { link } = linkTo([undefined]);
  const call = link.api.never();
  vi.advanceTimersByTime(59_000);
  expect(workers[0].terminated).toBe(false);
  vi.advanceTimersByTime(2000);
  await expect(call).rejects.toMatchObject({ code: 'worker-unavailable' });
});

it('ending the worker on purpose is no failure, and a closed link starts no other', async () => {
  const { link, failures, release } = linkTo([api, api]);
  const first = link.api.never();
  workers[0].announce('life');
  link.end();
  await expect(first).rejects.toMatchObject({ code: 'aborted' });
  expect(await link.api.add(1, 1)).toBe(2);
  const second = link.api.never();
  link.close();
  await expect(second).rejects.toMatchObject({ code: 'aborted' });
  await expect(link.api.add(1, 1)).rejects.toMatchObject({ code: 'aborted' });
  release('life');
  expect(failures).toEqual([]);
  expect(workers.length).toBe(2);
});

describe('a worker that never returns from starting a worker of its own', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));

  it('is replaced, and its calls are made again', async () => {
    const { link, failures } = linkTo([undefined, undefined, api]);
    const sum = link.api.add(1, 2);
    for (const worker of [0, 1]) {
      workers[worker].announce(null);
      workers[worker].tellOfStart(true);
      vi.advanceTimersByTime(3900);
      expect(workers[worker].terminated).toBe(false);
      vi.advanceTimersByTime(200);
      expect(workers[worker].terminated).toBe(true);
    }
    expect(await sum).toBe(3);
    expect(failures).toEqual([]);
  });

  it('is given up after three attempts', async () => {
    const { link, failures } = linkTo([]);
    const sum = link.api.add(1, 2);
    for (const worker of [0, 1, 2]) {
      workers[worker].tellOfStart(true);
      vi.advanceTimersByTime(4100);
    }
    await expect(sum).rejects.toMatchObject({ code: 'worker-failed' });
    expect(failures).toEqual(['worker-failed']);
    expect(workers).toHaveLength(3);
  });

  it('ends the calls that may not be made again', async () => {
    const { link, failures } = linkTo([undefined, api]);
    const [sum, never] = [link.api.add(1, 2), link.api.never()];
    workers[0].tellOfStart(true);
    vi.advanceTimersByTime(4100);
    await expect(never).rejects.toMatchObject({ code: 'worker-failed' });
    expect(await sum).toBe(3);
    expect(failures).toEqual(['worker-failed']);
  });

  it('does nothing again that was to be stopped', async () => {
    const { link, failures } = linkTo([undefined, api]);
    const calls = [link.api.add(1, 2), link.api.stop()];
    workers[0].tellOfStart(true);
    vi.advanceTimersByTime(4100);
    for (const call of calls) await expect(call).rejects.toMatchObject({ code: 'aborted' });
    expect(failures).toEqual([]);
    expect(workers).toHaveLength(1);
    expect(await link.api.add(2, 2)).toBe(4);
  });

  it('is ended without a word if it had nothing to do', () => {
    const { link, failures } = linkTo([undefined]);
    link.open();
    workers[0].tellOfStart(true);
    vi.advanceTimersByTime(4100);
    expect(workers[0].terminated).toBe(true);
    expect(failures).toEqual([]);
  });

  it('is left alone if it started the other one in time', () => {
    linkTo([undefined])
      .link.api.never()
      .catch(() => {});
    workers[0].tellOfStart(true);
    vi.advanceTimersByTime(3900);
    workers[0].tellOfStart(false);
    vi.advanceTimersByTime(60_000);
    expect(workers[0].terminated).toBe(false);
  });
});

describe('startNestedWorker', () => {
  it('tells before and after, also of a failure', () => {
    const reported: unknown[] = [];
    vi.stubGlobal('WorkerGlobalScope', class {});
    vi.stubGlobal('postMessage', ({ mixtabStartsWorker }: never) => reported.push(mixtabStartsWorker));
    expect(startNestedWorker(() => reported.push('start'))).toBe(2);
    expect(() =>
      startNestedWorker(() => {
        throw new Error('refused');
      }),
    ).toThrow('refused');
    vi.unstubAllGlobals();
    expect(reported).toEqual([true, 'start', false, true, false]);
  });
});
