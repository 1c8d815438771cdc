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
const START_LIMIT_MS = 60_000;

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

/** How a worker ended: its code never ran, or it ran and has stopped. */
export type WorkerEnd = 'not-started' | 'died';

/** The part of a Worker that is watched. */
export type WatchedWorker = Pick<Worker, 'addEventListener' | 'removeEventListener'>;

/**
 * Watches a worker whose entry point calls {@link announceWorker}.
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
    watch.abort();
    clearTimeout(timer);
    onEnd(how);
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
      if (!isStarted(data)) return;
      event.stopImmediatePropagation(); // it is no message of the worker's own protocol
      started = true;
      clearTimeout(timer);
      if (data.mixtabWorker === null || !locks) return;
      // Granted when the worker has ended, because its locks are released then.
      locks.request(data.mixtabWorker, { signal }, () => end('died')).catch(() => {}); // the watch ended first
    },
    { signal },
  );
  return () => {
    watch.abort();
    clearTimeout(timer);
  };
}
