/** Errors of the browser's storage. */
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
  const name = error instanceof Error || error instanceof DOMException ? error.name : '';
  if (name === 'QuotaExceededError') return storageFull(bytes, await estimateFreeBytes());
  return new MixtabError(
    'storage-unavailable',
    `The browser's database cannot be used (${error instanceof Error ? `${name}: ${error.message}` : String(error)}).`,
    'Leave private browsing and allow this page to store data.',
  );
}

/**
 * The error for data that does not fit into the browser's storage.
 * @param freeBytes what the browser reports, see {@link estimateFreeBytes}
 */
export function storageFull(neededBytes: Bytes, freeBytes: Bytes | undefined): MixtabError {
  const free = freeBytes === undefined ? '' : `, and the browser reports ${formatBytes(freeBytes)} free for this page`;
  return new MixtabError(
    'storage-full',
    `The browser's storage is full: ${formatBytes(neededBytes)} more were needed${free}.`,
    'Remove a model, free disk space or choose a smaller model.',
  );
}
