/** Waits that end: for what may never answer, such as a damaged database or a server. */

/**
 * Waits for `work`, but not for longer than `ms` milliseconds. Afterwards nobody hears of it any more.
 * @param tooLate makes the error for that case
 * @throws what `work` rejects with, or `tooLate` returns
 */
export async function within<T>(ms: number, work: Promise<T>, tooLate: () => Error): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(tooLate()), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
