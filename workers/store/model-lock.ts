/**
 * One lock per model that is being written: by its import or its repair. Whoever removes a model takes it first, so that
 * no tab pulls the records out from under an import of another tab.
 */
import { abortError, MixtabError, throwIfAborted } from '../../src/contract/errors.ts';

/** How long work may take to end after it was stopped: what it is storing is finished first. */
const ABANDON_MS = 5000;

const lockName = (id: string): string => `mixtab-import/${id}`;

/**
 * Runs `work` while no one else writes or removes this model, in any tab.
 * @param signal frees the lock shortly after it is aborted, even if `work` never settles
 * @throws MixtabError `aborted` if the signal was aborted before the lock was free
 */
export async function whileWriting<T>(id: string, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  return await navigator.locks.request(lockName(id), async () => {
    throwIfAborted(signal);
    let timer: ReturnType<typeof setTimeout> | undefined;
    let free = (): void => {};
    const abandoned = new Promise<never>((_, reject) => {
      free = () => {
        timer = setTimeout(() => reject(abortError(signal)), ABANDON_MS);
      };
    });
    signal.addEventListener('abort', free, { once: true });
    try {
      return await Promise.race([work(), abandoned]);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', free);
    }
  });
}

/**
 * Runs `work` unless the model is being written at the moment, in any tab.
 * @throws MixtabError `busy` if it is
 */
export async function unlessWritten<T>(id: string, work: () => Promise<T>): Promise<T> {
  // Without locks (a page over plain http) there are no imports either.
  if (!globalThis.navigator?.locks) return work();
  return await navigator.locks.request(lockName(id), { ifAvailable: true }, (lock) => {
    if (lock) return work();
    throw new MixtabError(
      'busy',
      'This model is being imported or repaired, perhaps in another tab.',
      'Pause or cancel that first.',
    );
  });
}
