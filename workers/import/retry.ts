/** Repeats requests after temporary failures: a broken connection, a busy server. */
import { aborted, MixtabError, throwIfAborted } from '../../src/contract/errors.ts';

/** A failure that may be temporary. {@link withRetries} turns the last one into `source-unreachable`. */
export class TransientError extends Error {}

/**
 * A refusal by a source that has answered well before: a login page, an expired signature, a proxy without ranges. The
 * next answer may be different, so {@link withRetries} asks a few times more, and then throws `refusal`.
 */
export class RefusedError extends Error {
  constructor(readonly refusal: MixtabError) {
    super(refusal.message);
  }
}

export interface RetryOptions {
  /** Waits before the second, third, ... attempt. */
  retryDelaysMs?: readonly number[];
  /**
   * If given, attempts after a {@link TransientError} are repeated with no limit: the network may be back in an hour.
   * Called with the cause from the second failed attempt on, and with undefined when data arrives again.
   */
  onOutage?: (cause: string | undefined) => void;
}

/** About 15 s in all: long enough for a router or a busy server, short enough for a person who waits. */
const RETRY_DELAYS_MS = [500, 1500, 4000, 9000];
/** Waits before a refused request is repeated: about two minutes in all, because what was stored is at stake. */
const REFUSAL_DELAYS_MS = [...RETRY_DELAYS_MS, 30_000, 60_000];
/** Failed attempts before `onOutage` is called. A single failure is too common to report. */
const REPORT_AFTER = 2;

/**
 * Runs `attempt` until it succeeds or fails with something other than a {@link TransientError} or a
 * {@link RefusedError}.
 * @param url names the source in the error
 * @param attempt gets the number of failures before it
 * @throws MixtabError `source-unreachable` after the last attempt, the last refusal, `aborted`
 */
export async function withRetries<T>(
  url: string,
  attempt: (failures: number) => Promise<T>,
  { retryDelaysMs, onOutage, signal }: RetryOptions & { signal?: AbortSignal | undefined },
): Promise<T> {
  let refusals = 0;
  for (let failures = 0; ; ) {
    try {
      const result = await attempt(failures);
      if (failures >= REPORT_AFTER) onOutage?.(undefined);
      return result;
    } catch (error) {
      throwIfAborted(signal);
      const refused = error instanceof RefusedError;
      if (!refused && !(error instanceof TransientError)) throw error;
      failures++;
      if (refused) refusals++;
      const delays = retryDelaysMs ?? (refused ? REFUSAL_DELAYS_MS : RETRY_DELAYS_MS);
      if (refused && refusals > delays.length) throw error.refusal;
      if (!refused && failures > delays.length && !onOutage) throw unreachable(url, error.message);
      if (failures >= REPORT_AFTER) onOutage?.(error.message);
      await sleep(delays[Math.min(refused ? refusals : failures, delays.length) - 1]!, signal);
    }
  }
}

/** Waits, but not longer than until the browser reports that the network is back. */
function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    // Node has neither method.
    const target = globalThis as Partial<Pick<EventTarget, 'addEventListener' | 'removeEventListener'>>;
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
      target.removeEventListener?.('online', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    const stop = (): void => {
      clearTimeout(timer);
      target.removeEventListener?.('online', end);
      reject(aborted());
    };
    signal?.addEventListener('abort', stop, { once: true });
    target.addEventListener?.('online', end);
  });
}

const unreachable = (url: string, cause: string): MixtabError =>
  new MixtabError(
    'source-unreachable',
    `${url} cannot be read: ${cause}.`,
    'Check the address and the connection. Another site must allow this page by CORS.',
  );
