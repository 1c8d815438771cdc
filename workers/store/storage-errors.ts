/** Errors of the browser's storage. */
import { isDiskFull } from '../../src/contract/disk-full.ts';
import { MixtabError } from '../../src/contract/errors.ts';
import { formatBytes } from '../../src/contract/format-bytes.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import { estimateFreeBytes } from './storage-space.ts';

/**
 * Turns what IndexedDB or a file system threw into an error that the user can act on. A `MixtabError` is returned as it
 * is.
 * @param bytes size of what was being written, for the message
 */
export async function storageError(error: unknown, bytes: Bytes): Promise<MixtabError> {
  if (error instanceof MixtabError) return error;
  const free = await Promise.race([estimateFreeBytes(), noAnswer()]);
  if (isDiskFull(error, free, bytes)) return storageFull(bytes, free);
  const cause = error instanceof Error ? `${error.name}: ${error.message}` : String(error ?? 'no cause given');
  return new MixtabError(
    'storage-unavailable',
    `The browser's database cannot be used (${cause}).`,
    'Free disk space if there is little, leave private browsing, and allow this page to store data.',
  );
}

/** The error for a database that may never answer. */
export const notAnswering = (seconds: number): MixtabError =>
  new MixtabError(
    'storage-unavailable',
    `The browser's database has not answered for ${seconds} s.`,
    'Free disk space if there is little, and reload the page. If that does not help, restart the browser.',
  );

/** Damaged storage may not answer at all, and then whoever writes would wait for ever. */
const noAnswer = (): Promise<undefined> => new Promise((resolve) => setTimeout(() => resolve(undefined), 2000));

/**
 * The error for data that does not fit into the browser's storage.
 * @param neededBytes 0 if that is not known; then it is little
 * @param freeBytes what the browser reports, see {@link estimateFreeBytes}
 */
export function storageFull(neededBytes: Bytes, freeBytes: Bytes | undefined): MixtabError {
  // A disk can be full although the page has not used up its share.
  const says = freeBytes !== undefined && freeBytes < neededBytes;
  const needed = neededBytes > 0 ? `: ${formatBytes(neededBytes)} more were needed` : '';
  const free = !says ? '' : `, and the browser reports ${formatBytes(freeBytes)} free for this page`;
  return new MixtabError(
    'storage-full',
    `The browser's storage is full${needed}${free}.`,
    'Remove a model, free disk space or choose a smaller model.',
  );
}
