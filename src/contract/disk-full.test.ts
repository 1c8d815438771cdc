/** The errors that browsers throw when the disk is full, and those that they throw for other reasons. */
import { expect, it } from 'vitest';
import { isDiskFull } from './disk-full.ts';

const error = (name: string, message: string): DOMException => new DOMException(message, name);
const PLENTY = 10e9;

it.each([
  ['Chromium, quota', error('QuotaExceededError', '')],
  ['Chromium, commit', error('QuotaExceededError', 'Encountered disk full while committing transaction.')],
  ['Chromium, an opened database', error('UnknownError', 'Encountered full disk while opening backing store.')],
  ['Chromium, Blobs', error('DataError', 'Failed to write blobs (IOError)')],
  [
    'Chromium 156, a log that could not be written',
    error(
      'UnknownError',
      'Connection is closing because of: IO error: .../http_localhost_1.indexeddb.leveldb/000003.log: ' +
        'FILE_ERROR_NO_SPACE (ChromeMethodBFE: 3::WritableFileAppend::8)',
    ),
  ],
  ['Firefox, quota', error('QuotaExceededError', 'The current transaction exceeded its quota limitations.')],
  ['Firefox, an untranslated result', { name: 'NS_ERROR_FILE_NO_DEVICE_SPACE', message: '', code: 0 }],
  ['Firefox, a result of its database', { name: 'NS_ERROR_DOM_INDEXEDDB_QUOTA_ERR', message: '', code: 0 }],
  ['WebKit, an old name', { name: 'QUOTA_EXCEEDED_ERR', message: '', code: 22 }],
  ['an aborted transaction that names it', error('AbortError', 'Data lost due to disk full')],
])('recognizes a full disk by the error alone: %s', (_browser, thrown) => {
  expect(isDiskFull(thrown)).toBe(true);
  expect(isDiskFull(thrown, PLENTY)).toBe(true);
});

it.each([
  ['WebKit', error('UnknownError', 'Error storing record in object store')],
  ['Chromium', error('UnknownError', 'Internal error committing transaction.')],
  ['Chromium, afterwards', error('UnknownError', 'Internal error opening backing store for indexedDB.open.')],
  [
    'Chromium, a closed database',
    error('InvalidStateError', "Failed to execute 'transaction' on 'IDBDatabase': The database connection is closing."),
  ],
  ['Firefox', error('InvalidStateError', 'A mutation operation was attempted on a read-only database.')],
  ['an aborted transaction', error('AbortError', 'The transaction was aborted.')],
  ['a transaction without an error', null],
])('asks how much is free if the error gives no cause: %s', (_browser, thrown) => {
  expect(isDiskFull(thrown)).toBe(false);
  expect(isDiskFull(thrown, PLENTY)).toBe(false);
  expect(isDiskFull(thrown, 0)).toBe(true);
  expect(isDiskFull(thrown, 20e6, 10e6)).toBe(false);
  expect(isDiskFull(thrown, 5e6, 10e6)).toBe(true);
});

it.each([
  ['a closed connection', error('NotFoundError', 'One of the specified object stores was not found.')],
  ['a value that cannot be stored', error('DataCloneError', 'could not be cloned')],
  ['a denied permission', error('SecurityError', 'The operation is insecure.')],
  ['an error of our own', new TypeError('store is undefined')],
])('does not blame the disk for %s, however full it is', (_what, thrown) => {
  expect(isDiskFull(thrown, 0)).toBe(false);
});
