/** Waits that a user can end: weights may come from a network that is gone. */
import { MixtabError } from '../../src/contract/errors.ts';

/** How often it is asked whether to stop. */
const ASK_MS = 100;

/**
 * What `work` gives, unless `stopped` says true first.
 * @throws MixtabError `aborted`; `work` then goes on unheard
 */
export async function abortable<T>(work: Promise<T>, stopped: () => boolean): Promise<T> {
  let timer: ReturnType<typeof setInterval> | undefined;
  const stop = new Promise<never>((_, reject) => {
    timer = setInterval(() => {
      try {
        if (stopped()) reject(new MixtabError('aborted', 'Stopped.'));
      } catch (error) {
        reject(error); // a lost device, say
      }
    }, ASK_MS);
  });
  try {
    return await Promise.race([work, stop]);
  } finally {
    clearInterval(timer);
    work.catch(() => {}); // nobody else hears it once it was stopped
  }
}
