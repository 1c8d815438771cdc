/** Small concurrency helpers: streams that the reader may leave early, one task at a time, abort signals. Pure. */

/** An async iterable that one side fills and the other side reads. */
export interface Queue<T> extends AsyncIterable<T> {
  push(value: T): void;
  end(): void;
  /** Ends the iteration with `error`, after the values that were pushed before. */
  fail(error: unknown): void;
}

/** @param onLeave called when the reader leaves the loop before the end */
export function createQueue<T>(onLeave: () => void): Queue<T> {
  const values: T[] = [];
  let done = false;
  let failure: { error: unknown } | undefined;
  let wakeReader: (() => void) | undefined;
  const finish = (): void => {
    done = true;
    wakeReader?.();
  };

  async function* iterate(): AsyncGenerator<T> {
    try {
      for (;;) {
        while (values.length > 0) yield values.shift()!;
        if (failure) throw failure.error;
        if (done) return;
        await new Promise<void>((resolve) => {
          wakeReader = resolve;
        });
      }
    } finally {
      if (!done && !failure) onLeave();
    }
  }

  return {
    push(value) {
      values.push(value);
      wakeReader?.();
    },
    end: finish,
    fail(error) {
      failure = { error };
      finish();
    },
    [Symbol.asyncIterator]: iterate,
  };
}

/**
 * Creates a queue and the signal for the work that fills it.
 * @param signal the caller's own signal
 * @returns `signal` aborts when the caller's signal does, or when the reader leaves the loop before the end
 */
export function createAbortableQueue<T>(signal: AbortSignal | undefined): { queue: Queue<T>; signal: AbortSignal } {
  const left = new AbortController();
  const queue = createQueue<T>(() => left.abort());
  return { queue, signal: signal ? AbortSignal.any([signal, left.signal]) : left.signal };
}

/**
 * Returns a function that runs tasks one at a time, in the order it is called. The next task runs even if one fails.
 */
export function createTurns(): <T>(task: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const next = last.then(task, task);
    last = next.catch(() => {});
    return next;
  };
}

/**
 * Runs `work`, and calls `stop` if the signal aborts meanwhile.
 * @param stop asks the worker to stop; `work` then settles by itself
 */
export async function stopOnAbort<T>(
  signal: AbortSignal | undefined,
  stop: () => void,
  work: () => Promise<T>,
): Promise<T> {
  signal?.addEventListener('abort', stop);
  try {
    return await work();
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}
