/**
 * Repairs a record that turns out damaged or missing while its model runs. It is fetched again if the model came from a
 * URL. Weights that do not match their hash are never used.
 */
import { excerpt, MixtabError } from '../../src/contract/errors.ts';
import type { ModelManifest, RecordInfo } from '../format/manifest.ts';
import { isBroken } from '../store/record-errors.ts';
import type { RecordStore } from '../store/store.ts';
import type { ByteSource } from './byte-source.ts';
import { refetchRecord } from './repair.ts';

export interface SelfRepair {
  store: RecordStore;
  /** Opens the URL that a model came from. */
  open: (url: string) => Promise<ByteSource>;
}

/**
 * Fetches and stores one record again. The model is marked as damaged only if the record certainly is, and cannot be
 * made again: a read that failed, or a network that is down, says nothing about the model.
 * @param failure what reading the record threw, twice
 * @returns the record's bytes
 * @throws MixtabError `failure`, with the reason if fetching failed too; `model-not-found` if the whole model is gone
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
  if (manifest.sourceUrl === undefined) {
    if (!isBroken(failure)) throw failure; // nothing to import again: the next read may succeed
    await markDamaged(store, modelId);
    throw new MixtabError(failure.code, failure.message, fileRemedy(manifest));
  }
  try {
    const source = await open(manifest.sourceUrl);
    return await refetchRecord({ store, source, signal: new AbortController().signal }, manifest, record.key);
  } catch (error) {
    if (isBroken(failure) && error instanceof MixtabError && error.code === 'source-changed')
      await markDamaged(store, modelId);
    const why = error instanceof Error ? error.message : String(error);
    throw new MixtabError(failure.code, `${failure.message} Fetching them again failed: ${why}`, failure.remedy);
  }
}

const markDamaged = (store: RecordStore, id: string): Promise<unknown> =>
  store.updateManifest(id, (manifest) => ({ ...manifest, state: 'damaged' }));

const fileRemedy = ({ origin }: ModelManifest): string =>
  `Import ${excerpt(origin)} again: only the damaged records are written again.`;
