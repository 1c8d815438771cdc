/**
 * Notices an import that makes no progress, whatever it waits for, and starts it again from what is stored. Network
 * requests have their own limits (http-request.ts); this is for waits of the browser that have none.
 */
import { abortError } from '../../src/contract/errors.ts';

/** The abort reason of an attempt that is given up because it made no progress. It must change nothing any more. */
export const STALLED = 'stalled';

/** A slow disk may take this long for one record, but hardly any does. */
const PATIENCE_MS = 60_000;
/** Patience doubles with each attempt that makes no progress, so that a very slow disk gets there. */
const MAX_PATIENCE_MS = 600_000;

/** What an attempt waits for, and when it last made progress. */
export class Activity {
  readonly #steps: string[] = [];
  #last = performance.now();

  /** Called whenever bytes have arrived or were stored. */
  readonly progress = (): void => {
    this.#last = performance.now();
  };

  /** Runs one step, so that a stall can be explained. @param step completes "No progress while ..." */
  async during<T>(step: string, work: () => Promise<T>): Promise<T> {
    this.#steps.push(step);
    try {
      return await work();
    } finally {
      this.#steps.splice(this.#steps.indexOf(step), 1);
      this.progress();
    }
  }

  /** The step that has been running for the longest time. */
  get step(): string | undefined {
    return this.#steps[0];
  }

  get idleMs(): number {
    return performance.now() - this.#last;
  }
}

/** One try. Once its signal is aborted, nobody waits for it any more. */
export interface Attempt {
  signal: AbortSignal;
  activity: Activity;
}

export interface StallOptions {
  /** Ends everything, even an attempt that never settles. */
  signal: AbortSignal;
  /** @param seconds without progress; `step` as in {@link Activity.during} */
  onStall: (seconds: number, step: string | undefined) => void;
  /** For tests. */
  patienceMs?: number;
}

/**
 * Runs `work`, and runs it again if it makes no progress.
 * @throws what `work` throws; MixtabError `aborted`
 */
export async function withStallWatch<T>(
  work: (attempt: Attempt) => Promise<T>,
  { signal, onStall, patienceMs = PATIENCE_MS }: StallOptions,
): Promise<T> {
  for (let patience = patienceMs; ; patience = Math.min(2 * patience, MAX_PATIENCE_MS)) {
    const controller = new AbortController();
    const activity = new Activity();
    const watch = watchAttempt(activity, controller, { signal, patience });
    try {
      const ended = await Promise.race([
        work({ signal: controller.signal, activity }).then((value) => ({ value })),
        watch.gaveUp,
      ]);
      if (ended !== STALLED) return ended.value;
    } catch (error) {
      // The first to reject may be a part of the work that noticed the end of the attempt.
      if (controller.signal.reason !== STALLED) throw error;
    } finally {
      watch.end();
    }
    onStall(Math.round(patience / 1000), activity.step);
  }
}

/** How long an attempt may take to end by itself after it was stopped: what it is storing is finished first. */
const STOP_MS = 10_000;

/** Stops an attempt that makes no progress, or that the user stops. */
function watchAttempt(
  activity: Activity,
  controller: AbortController,
  { signal, patience }: { signal: AbortSignal; patience: number },
): { gaveUp: Promise<typeof STALLED>; end: () => void } {
  let end = (): void => {};
  const gaveUp = new Promise<typeof STALLED>((resolve, reject) => {
    const timer = setInterval(
      () => {
        if (activity.idleMs < patience || signal.aborted) return;
        controller.abort(STALLED);
        resolve(STALLED);
      },
      Math.min(patience / 4, 1000),
    );
    let stopTimer: ReturnType<typeof setTimeout> | undefined;
    const stop = (): void => {
      controller.abort(signal.reason);
      stopTimer = setTimeout(() => reject(abortError(signal)), STOP_MS);
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    end = () => {
      clearInterval(timer);
      clearTimeout(stopTimer);
      signal.removeEventListener('abort', stop);
    };
  });
  gaveUp.catch(() => {}); // the attempt may have ended first
  return { gaveUp, end };
}
