/** Keeps Firefox from letting finished GPU work lie. */

const FIREFOX = /\bFirefox\//.test(globalThis.navigator?.userAgent ?? '');
/** Short beside a token, long beside the cost of an empty submission. */
const POLL_EVERY_MS = 1;

/**
 * Waits for the GPU. Firefox looks for finished work by a timer of 100 ms (https://bugzilla.mozilla.org/show_bug.cgi?id=1870699),
 * which would be ten tokens a second at most; a submission, an empty one too, makes it look at once. Can go when that bug
 * is closed in every Firefox that has WebGPU in workers.
 */
export async function withFirefoxPoll<T>(
  queue: Pick<GPUQueue, 'submit'>,
  done: Promise<T>,
  firefox = FIREFOX,
): Promise<T> {
  if (!firefox) return done;
  const timer = setInterval(() => queue.submit([]), POLL_EVERY_MS);
  try {
    return await done;
  } finally {
    clearInterval(timer);
  }
}
