/** No result of a backend is trusted after it has failed. */
import { throwIfAborted } from '../../src/contract/errors.ts';

/**
 * Runs work on a backend. If the backend has failed by the end of it, throws that error instead of any other outcome:
 * after a failed upload, for example, a slot may hold other weights than the expert cache assumes.
 * @param failure returns the signal that is aborted when the backend fails; called again after the work
 */
export async function watched<T>(failure: () => AbortSignal, work: () => Promise<T>): Promise<T> {
  try {
    const result = await work();
    throwIfAborted(failure());
    return result;
  } catch (error) {
    // The promises of a lost GPU device are rejected before `device.lost` settles, so wait for that.
    await new Promise((resolve) => setTimeout(resolve));
    throwIfAborted(failure());
    throw error;
  }
}
