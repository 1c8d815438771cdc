/** Where the records of a new model are stored, if the user has not chosen. */
import type { Bytes } from '../../src/contract/ids.ts';
import type { StorageBackend } from '../../src/contract/import-api.ts';
import type { RecordInfo } from '../format/manifest.ts';
import type { ImportInputs } from './import-inputs.ts';

/**
 * Models from this size on are stored in files. They may not fit into the memory of what computes, so their experts are
 * read again and again, and files are read several times as fast. Smaller models fit into the memory of any device.
 * They are read once, and their many small records are written faster into the database.
 */
const FILES_FROM: Bytes = 1e9;

/**
 * Chooses where to store the records of a model.
 * @param bytes of all its records
 * @param kept records of an interrupted import, which is continued where it began
 */
export async function chooseStorage(
  { storage = 'auto', filesWork, filesFrom = FILES_FROM }: Pick<ImportInputs, 'storage' | 'filesWork' | 'filesFrom'>,
  bytes: Bytes,
  kept: readonly RecordInfo[],
): Promise<StorageBackend> {
  if (storage !== 'auto') return storage;
  const wanted = kept.length > 0 ? kept.some(({ place }) => place === 'opfs') : bytes >= filesFrom;
  return wanted && (await filesWork?.()) ? 'opfs' : 'indexeddb';
}
