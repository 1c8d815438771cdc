/** Works around the slow polling of finished GPU work in Firefox. */

const FIREFOX = /\bFirefox\//.test(globalThis.navigator?.userAgent ?? '');
/** Short compared with a token, long compared with the cost of an empty submission. */
const POLL_EVERY_MS = 1;

/**
 * Waits for `done`, a promise that the GPU settles. Firefox polls for finished work every 100 ms
 * (https://bugzilla.mozilla.org/show_bug.cgi?id=1870699), which would limit decoding to ten tokens per second. A
 * submission, even an empty one, makes it poll at once. This can be removed when that bug is fixed in every Firefox
 * with WebGPU in workers.
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
