/** Recognizes a full disk, which browsers report under many names. */
import type { Bytes } from './ids.ts';

/**
 * Names that mean nothing else: the standard's, and Firefox's names of results that it did not translate. Its databases
 * and files use the third for a disk without space.
 */
const NAMES: ReadonlySet<string> = new Set([
  'QuotaExceededError',
  'NS_ERROR_DOM_QUOTA_REACHED',
  'NS_ERROR_DOM_INDEXEDDB_QUOTA_ERR',
  'NS_ERROR_FILE_NO_DEVICE_SPACE',
  'NS_ERROR_FILE_DISK_FULL',
]);

/** `DOMException.code` of a `QuotaExceededError`. WebKit once gave it another name. */
const QUOTA_EXCEEDED_CODE = 22;

/**
 * What a message says, whatever its name. Chromium ends a transaction with "Connection is closing because of: IO error:
 * ... FILE_ERROR_NO_SPACE". It writes Blobs to files of their own, and says "Failed to write blobs (IOError)" if the
 * disk is full. Ours are in memory, so it is the disk that failed.
 */
const MESSAGE =
  /disk (is )?full|full disk|\bno (device )?space\b|_NO_SPACE\b|\bENOSPC\b|\bquota\b|write blobs \(IOError\)/i;

/**
 * Names that WebKit, and sometimes the others, give to a failed write without a cause. Firefox throws
 * `InvalidStateError` for writes into a database that it made read-only because the disk was full, Chromium for one that
 * it has closed for this reason. Chromium cannot open it again then, and throws `UnknownError`.
 */
const UNEXPLAINED: ReadonlySet<string> = new Set(['UnknownError', 'AbortError', 'DataError', 'InvalidStateError']);

/** Less than this is no space: databases grow in steps. */
const LITTLE_SPACE: Bytes = 1e6;

/**
 * Whether a write failed because the disk, or the browser's share of it for this page, is full.
 * @param error what the write threw; null is the error of a transaction that the browser aborted without a reason
 * @param freeBytes what the browser says this page may still store, which decides about errors that give no cause
 * @param neededBytes size of what was written
 */
export function isDiskFull(error: unknown, freeBytes?: Bytes, neededBytes: Bytes = 0): boolean {
  const { name = '', message = '', code } = (error ?? {}) as Partial<DOMException>;
  if (NAMES.has(name) || code === QUOTA_EXCEEDED_CODE || MESSAGE.test(message)) return true;
  return isUnexplained(error) && freeBytes !== undefined && freeBytes < Math.max(neededBytes, LITTLE_SPACE);
}

/** Whether an error gives no cause, so that it may come from a full disk. */
export function isUnexplained(error: unknown): boolean {
  return error === null || error === undefined || UNEXPLAINED.has((error as Partial<DOMException>).name ?? '');
}
