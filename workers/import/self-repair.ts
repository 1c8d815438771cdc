/**
 * What happens when a record turns out damaged or gone while a model runs: it is fetched again where the model came
 * from an address; else the model is marked damaged. Weights that do not match their hash are never used.
 */
import { MixtabError } from '../../src/contract/errors.ts';
import type { ModelManifest, RecordInfo } from '../format/manifest.ts';
import type { RecordStore } from '../store/store.ts';
import type { ByteSource } from './byte-source.ts';
import { refetchRecord } from './importer.ts';

export interface SelfRepair {
  store: RecordStore;
  /** Opens the file a model came from. */
  open: (url: string) => Promise<ByteSource>;
}

/**
 * @param failure what reading the record threw
 * @returns the record's bytes, fetched and stored anew
 * @throws MixtabError `failure`, or what the fetch met; the model is marked damaged
 */
export async function repairRecord(
  { store, open }: SelfRepair,
  modelId: string,
  record: RecordInfo,
  failure: MixtabError,
): Promise<Uint8Array<ArrayBuffer>> {
  const manifest = await store.getManifest(modelId);
  // The whole model is gone: the browser has cleared the page's storage.
  if (!manifest)
    throw new MixtabError(
      'model-not-found',
      'The model is no longer stored: the browser has cleared it.',
      'Import it again.',
    );
  if (manifest.sourceUrl === undefined) throw await markDamaged(store, manifest, failure);
  try {
    const inputs = {
      store,
      source: await open(manifest.sourceUrl),
      kind: manifest.source,
      sourceUrl: manifest.sourceUrl,
      signal: new AbortController().signal,
      onProgress: () => {},
      preflight: async () => undefined,
    };
    return await refetchRecord(inputs, manifest, record.key);
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
