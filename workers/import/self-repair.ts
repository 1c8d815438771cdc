/**
 * Repairs a record that turns out damaged or missing while its model runs. It is fetched again if the model came from a
 * URL. Otherwise the model is marked as damaged. Weights that do not match their hash are never used.
 */
import { MixtabError } from '../../src/contract/errors.ts';
import type { ModelManifest, RecordInfo } from '../format/manifest.ts';
import type { RecordStore } from '../store/store.ts';
import type { ByteSource } from './byte-source.ts';
import { refetchRecord } from './repair.ts';

export interface SelfRepair {
  store: RecordStore;
  /** Opens the URL that a model came from. */
  open: (url: string) => Promise<ByteSource>;
}

/**
 * Fetches and stores one record again.
 * @param failure what reading the record threw
 * @returns the record's bytes
 * @throws MixtabError `failure`, with the reason if fetching failed too; the model is then marked as damaged.
 *   `model-not-found` if the whole model is gone
 */
export async function repairRecord(
  { store, open }: SelfRepair,
  modelId: string,
  record: RecordInfo,
  failure: MixtabError,
): Promise<Uint8Array<ArrayBuffer>> {
  const manifest = await store.getManifest(modelId);
  if (!manifest) {
    throw new MixtabError(
      'model-not-found',
      'The model is no longer stored: the browser has cleared it.',
      'Import it again.',
    );
  }
  if (manifest.sourceUrl === undefined) throw await markDamaged(store, manifest, failure);
  try {
    const source = await open(manifest.sourceUrl);
    return await refetchRecord({ store, source, signal: new AbortController().signal }, manifest, record.key);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw await markDamaged(
      store,
      manifest,
      new MixtabError(failure.code, `${failure.message} Fetching them again failed: ${why}`, failure.remedy),
    );
  }
}

async function markDamaged(store: RecordStore, manifest: ModelManifest, failure: MixtabError): Promise<MixtabError> {
  await store.putManifest({ ...manifest, state: 'damaged' });
  return failure;
}
