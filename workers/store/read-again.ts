/**
 * Reads a stored record a second time after a failure. A disk under load, a browser that is short of memory, or a
 * database that the browser has just closed fail once; damage is there again.
 */
import { MixtabError, throwIfAborted } from '../../src/contract/errors.ts';
import { isBroken } from './record-errors.ts';

/** Long enough for memory that has just been released to be returned. */
const PAUSE_MS = 100;

const mayPass = (error: unknown): boolean =>
  isBroken(error) ||
  (error instanceof MixtabError && ['record-unreadable', 'memory-full', 'storage-unavailable'].includes(error.code));

/**
 * Runs `read`, and once more if it fails because of the stored record, the storage or the memory.
 * @throws what the second `read` throws; MixtabError `aborted`
 */
export async function readAgain<T>(read: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!mayPass(error)) throw error;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    throwIfAborted(signal);
    return read();
  }
}
