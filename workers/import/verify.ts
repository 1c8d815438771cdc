/** Checks a stored model against the checksums and hashes in its manifest. */
import { MixtabError } from '../../src/contract/errors.ts';
import type { ImportProgress } from '../../src/contract/import-api.ts';
import { isIntact } from '../store/record-check.ts';
import type { RecordStore } from '../store/store.ts';
import { sumBytes } from './build-record.ts';

/**
 * Reads every record of a model, and updates the state in its manifest to `damaged` or `complete`.
 * @returns the keys of the records that are missing or damaged
 * @throws MixtabError `model-not-found`
 */
export async function verifyModel(
  store: RecordStore,
  id: string,
  onProgress: (progress: ImportProgress) => void,
): Promise<string[]> {
  const manifest = await store.getManifest(id);
  if (!manifest) throw modelNotFound(id);
  const bytesTotal = sumBytes(manifest.records);
  const badKeys: string[] = [];
  let bytesDone = 0;
  for (const [index, record] of manifest.records.entries()) {
    const bytes = await store.readRecord(id, record).catch(() => undefined);
    if (!bytes || !(await isIntact(record, bytes))) badKeys.push(record.key);
    bytesDone += record.bytes;
    onProgress({
      phase: 'records',
      bytesDone,
      bytesTotal,
      recordsDone: index + 1,
      recordsTotal: manifest.records.length,
    });
  }
  const state = badKeys.length > 0 ? 'damaged' : 'complete';
  if (state !== manifest.state) await store.putManifest({ ...manifest, state });
  return badKeys;
}

/** The error for a model id that is not in the store. */
export const modelNotFound = (id: string): MixtabError =>
  new MixtabError('model-not-found', `No model ${id} is stored.`, 'Choose one of the stored models.');
