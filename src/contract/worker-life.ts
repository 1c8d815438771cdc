/**
 * Notices that a worker did not start, or has died. A browser sends an event if a script cannot be loaded, but none if
 * it ends a worker, for example for want of memory. So every worker holds a lock for as long as it lives.
 */

/** Sent by a worker once its code runs, and again once it holds its lock. Over http there are no locks. */
interface WorkerStarted {
  /** The lock's name; null until the worker holds it. */
  mixtabWorker: string | null;
}

const isStarted = (data: unknown): data is WorkerStarted =>
  typeof data === 'object' && data !== null && 'mixtabWorker' in data;

/**
 * Time for a script to load. A slow network needs about this long for the largest; a connection that stands still has no
 * other end.
 */
export const START_LIMIT_MS = 60_000;

/** Tells whoever started this worker that it runs. Every entry point calls it, as its last statement. */
export function announceWorker(): void {
  const announce = (lock: string | null): void => postMessage({ mixtabWorker: lock } satisfies WorkerStarted);
  announce(null);
  const lock = `mixtab-worker/${performance.timeOrigin}/${Math.random()}`;
  navigator.locks
    ?.request(lock, () => {
      announce(lock);
      return new Promise(() => {}); // until this worker ends
    })
    .catch(() => {}); // the browser blocks locks together with storage
}

/** Calls that may never return: this worker starts one of its own, or waits for the disk. */
type AnnouncedCall = 'mixtabStartsWorker' | 'mixtabUsesDisk';

/** Runs a call, and says so before and after it, so that whoever watches this worker can end it. */
function announcing<T>(name: AnnouncedCall, call: () => T): T {
  const tell = (begins: boolean): void => {
    if ('WorkerGlobalScope' in globalThis) postMessage({ [name]: begins });
  };
  tell(true);
  try {
    return call();
  } finally {
    tell(false);
  }
}

/** @returns the call that a worker announces by this message; undefined if it is another one */
const announcedCall = (data: unknown): AnnouncedCall | undefined =>
  (Object.keys(CALLS) as AnnouncedCall[]).find((name) => typeof data === 'object' && data !== null && name in data);

/**
 * Starts a worker from a worker. In Firefox 153, one in some dozens of such calls never returns, whatever the two workers
 * do; workers that a window starts are not affected. So this worker says what it does, and whoever watches it can end
 * it. Rejected: starting all workers in the window and handing out ports, because Firefox copies what goes through a
 * port from one worker to another: 0.4 ms instead of 0.06 for 16 kB and back, 200 ms instead of 1.2 for 16 MB.
 */
export const startNestedWorker = <W>(start: () => W): W => announcing('mixtabStartsWorker', start);

/** A worker that starts another one for longer than this hangs. Starting takes milliseconds. */
const HANG_TICK_MS = 500;
const HANG_TICKS = 8;

/**
 * Runs a synchronous call that waits for the disk. If it never returns, no timer of this worker runs any more, so this
 * worker says what it does, and whoever watches it can end it.
 */
export const duringDiskCall = <T>(call: () => T): T => announcing('mixtabUsesDisk', call);

/** Time for one call. Writing the largest records, of 0.3 GB, takes a slow memory card about a minute. */
export const DISK_LIMIT_MS = 180_000;

/**
 * How a worker ended: its code never ran, or it ran and has stopped, or it cannot start a worker of its own, or the disk
 * does not answer it.
 */
export type WorkerEnd = 'not-started' | 'died' | 'hung' | 'disk-silent';

/** How many ticks a call may take, and what is wrong then. */
const CALLS: Record<AnnouncedCall, { limit: number; how: WorkerEnd }> = {
  mixtabStartsWorker: { limit: HANG_TICKS, how: 'hung' },
  mixtabUsesDisk: { limit: DISK_LIMIT_MS / HANG_TICK_MS, how: 'disk-silent' },
};

/** The part of a Worker that is watched. */
export type WatchedWorker = Pick<Worker, 'addEventListener' | 'removeEventListener'>;

/**
 * Watches a worker whose entry point calls {@link announceWorker}, and that starts others with
 * {@link startNestedWorker} and uses the disk with {@link duringDiskCall}.
 * @param onEnd called at most once
 * @param locks default: the browser's, if any
 * @returns a function that ends the watch; call it before the worker is terminated on purpose
 */
export function watchWorker(
  worker: WatchedWorker,
  onEnd: (how: WorkerEnd) => void,
  locks: Pick<LockManager, 'request'> | undefined = navigator.locks,
): () => void {
  const watch = new AbortController();
  let started = false;
  const end = (how: WorkerEnd): void => {
    if (watch.signal.aborted) return;
    endWatch();
    onEnd(how);
  };
  const endWatch = (): void => {
    watch.abort();
    clearTimeout(timer);
    clearInterval(hangTicks);
  };
  let hangTicks: ReturnType<typeof setInterval> | undefined;
  // Counted in ticks, because this thread itself may have been busy, or the machine asleep.
  const watchCall = (name: AnnouncedCall, begins: boolean): void => {
    clearInterval(hangTicks);
    let ticks = 0;
    const { limit, how } = CALLS[name];
    if (begins) hangTicks = setInterval(() => ++ticks === limit && end(how), HANG_TICK_MS);
  };
  const timer = setTimeout(() => end('not-started'), START_LIMIT_MS);
  const { signal } = watch;
  // Once the code runs, an error of one event handler does not end the worker.
  worker.addEventListener('error', () => !started && end('not-started'), { signal });
  // A message that cannot be read may be the reply that a call waits for.
  worker.addEventListener('messageerror', () => end('died'), { signal });
  worker.addEventListener(
    'message',
    (event: MessageEvent<unknown>) => {
      const { data } = event;
      const call = announcedCall(data);
      if (!call && !isStarted(data)) return;
      event.stopImmediatePropagation(); // it is no message of the worker's own protocol
      if (!isStarted(data)) return watchCall(call!, (data as Record<AnnouncedCall, boolean>)[call!]);
      started = true;
      clearTimeout(timer);
      if (data.mixtabWorker === null || !locks) return;
      // Granted when the worker has ended, because its locks are released then.
      locks.request(data.mixtabWorker, { signal }, () => end('died')).catch(() => {}); // the watch ended first
    },
    { signal },
  );
  return endWatch;
}
