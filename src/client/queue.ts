/** Values that are pushed on one side and iterated over on the other. Pure. */

export interface Queue<T> extends AsyncIterable<T> {
  push(value: T): void;
  end(): void;
  /** What was pushed before is still given; then the iteration throws. */
  fail(error: unknown): void;
}

/** @param left called when the reader leaves the loop before the end */
export function createQueue<T>(left: () => void): Queue<T> {
  const values: T[] = [];
  let done = false;
  let failure: { error: unknown } | undefined;
  let wake: (() => void) | undefined;
  const stir = (): void => wake?.();
  const finish = (): void => {
    done = true;
    stir();
  };

  async function* iterate(): AsyncGenerator<T> {
    try {
      for (;;) {
        while (values.length > 0) yield values.shift()!;
        if (failure) throw failure.error;
        if (done) return;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      if (!done && !failure) left();
    }
  }

  return {
    push(value) {
      values.push(value);
      stir();
    },
    end: finish,
    fail(error) {
      failure = { error };
      finish();
    },
    [Symbol.asyncIterator]: iterate,
  };
}

/** Runs one task at a time, in the order of the calls. */
export function createTurns(): <T>(task: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const next = last.then(task, task);
    last = next.catch(() => {});
    return next;
  };
}
