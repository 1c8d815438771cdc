/** Waits that end: for what may never answer, such as a damaged database or a server. */

/**
 * A wait is counted in so many steps. When a machine has slept, a timer may end at once, before what was asked for has
 * had a chance to answer. Then only one step is too short.
 */
const STEPS = 4;

/**
 * Waits for `work`, but not for longer than `ms` milliseconds. Afterwards nobody hears of it any more.
 * @param tooLate makes the error for that case
 * @throws what `work` rejects with, or `tooLate` returns
 */
export async function within<T>(ms: number, work: Promise<T>, tooLate: () => Error): Promise<T> {
  let timer: ReturnType<typeof setInterval> | undefined;
  let steps = 0;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setInterval(() => {
      if (++steps === STEPS) reject(tooLate());
    }, ms / STEPS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearInterval(timer);
  }
}
