/** Lets an abort end a wait, even if the awaited work itself cannot be interrupted. */
import { abortError } from '../../src/contract/errors.ts';

/**
 * Waits for `promise` until `signal` is aborted. The work continues after that, but its result is ignored.
 * @throws MixtabError `aborted`, or the signal's reason if that is a MixtabError, or the error of `promise`
 */
export function abortable<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(abortError(signal));
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort);
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
