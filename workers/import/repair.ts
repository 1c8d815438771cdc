/** Writes damaged records of a stored model again, from the file that the model was made from. */
import { MixtabError, throwIfAborted } from '../../src/contract/errors.ts';
import type { ModelSummary } from '../../src/contract/import-api.ts';
import type { ModelManifest } from '../format/manifest.ts';
import { summarize } from '../store/catalog.ts';
import { sha256Hex } from '../store/hash.ts';
import { buildRecord, sumBytes } from './build-record.ts';
import type { ImportInputs } from './import-inputs.ts';
import { type OpenedModel, openModel } from './open-model.ts';
import { modelNotFound, verifyModel } from './verify.ts';

/**
 * Verifies a model and writes its damaged records again. Their hashes show whether the source is still the same file.
 * @throws MixtabError `source-changed` if the source is no longer the file that the model was made from
 */
export async function repairModel(inputs: ImportInputs, manifest: ModelManifest): Promise<ModelSummary> {
  return repairFrom(inputs, await openModel(inputs), manifest);
}

/**
 * Verifies a model and writes its damaged records again, from a source that has been opened.
 * @throws MixtabError `source-changed` if a record that is made again has another hash than the manifest says;
 *   `model-not-found` if the model was removed meanwhile
 */
export async function repairFrom(
  inputs: ImportInputs,
  { plan }: OpenedModel,
  manifest: ModelManifest,
): Promise<ModelSummary> {
  const { store, source, signal, onProgress, readProgress: progress } = inputs;
  const { id } = manifest;
  const badKeys = new Set(await verifyModel(store, id, onProgress, progress && { progress }));
  const records = manifest.records.filter(({ key }) => badKeys.has(key));
  await inputs.preflight(sumBytes(records));
  for (const [index, info] of records.entries()) {
    throwIfAborted(signal);
    const planned = plan.records.find(({ key }) => key === info.key);
    const bytes = planned && (await buildRecord(inputs, planned));
    if (!bytes || (await sha256Hex(bytes)) !== info.sha256) throw sourceChanged(source.name, manifest.name);
    await store.putRecord(id, info.key, bytes, info.place);
    onProgress({
      phase: 'records',
      bytesDone: sumBytes(records.slice(0, index + 1)),
      bytesTotal: sumBytes(records),
      recordsDone: index + 1,
      recordsTotal: records.length,
    });
  }
  const repaired = await store.updateManifest(id, (now) => ({ ...now, state: 'complete' }));
  if (!repaired) throw modelNotFound(id);
  return summarize(repaired);
}

/**
 * Fetches and stores one record of a stored model again.
 * @returns the record's bytes
 * @throws MixtabError `source-changed` if the source is no longer the file that the model was made from,
 *   `source-unreachable`
 */
export async function refetchRecord(
  inputs: Pick<ImportInputs, 'store' | 'source' | 'signal'>,
  manifest: ModelManifest,
  key: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const { store, source } = inputs;
  const { plan } = await openModel(inputs);
  const info = manifest.records.find((record) => record.key === key);
  const planned = plan.records.find((record) => record.key === key);
  const bytes = info && planned && (await buildRecord(inputs, planned));
  if (!bytes || (await sha256Hex(bytes)) !== info.sha256) throw sourceChanged(source.name, manifest.name);
  await store.putRecord(manifest.id, key, bytes, info.place);
  return bytes;
}

const sourceChanged = (source: string, model: string): MixtabError =>
  new MixtabError(
    'source-changed',
    `${source} is no longer the file that ${model} was made from.`,
    'Remove the model and import it again.',
  );
