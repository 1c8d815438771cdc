/**
 * Turns a GGUF into records: read the header, plan the records, then read, repack, hash and store each of them. The
 * manifest is written last, so a model is listed only when every record is stored. A journal lists the stored records,
 * so that an interrupted import can continue.
 */
import type { ImportProgress, ModelSummary } from '../../src/contract/import-api.ts';
import { tokenizerWarnings } from '../format/gguf/tokenizer-data.ts';
import type { ModelManifest } from '../format/manifest.ts';
import { LAYOUT_VERSION } from '../format/weight-layout.ts';
import { summarize } from '../store/catalog.ts';
import { sumBytes } from './build-record.ts';
import type { ImportInputs } from './import-inputs.ts';
import { readManifestFacts } from './manifest-facts.ts';
import { openModel } from './open-model.ts';
import { repairFrom } from './repair.ts';
import { canResume, recordsToKeep } from './resume.ts';
import { storeRecords } from './store-records.ts';

/**
 * Imports a model. If the same file is already stored, returns at once, or repairs it if it is damaged. If an import of
 * the file was interrupted, continues it.
 * @throws MixtabError what reading the file or storing it throws; `source-changed` if a stored model cannot be repaired
 */
export async function importModel(inputs: ImportInputs): Promise<ModelSummary> {
  const { store, source, onProgress, preflight } = inputs;
  onProgress({ phase: 'header', bytesDone: 0, bytesTotal: source.size, recordsDone: 0, recordsTotal: 0 });
  const opened = await openModel(inputs);
  const { id, plan } = opened;
  const facts = await readManifestFacts(inputs, opened);
  const existing = await store.getManifest(id);
  if (existing?.layoutVersion === LAYOUT_VERSION) {
    return existing.state === 'complete' ? summarize(existing) : repairFrom(inputs, opened, existing);
  }
  const kept = await recordsToKeep(store, opened);
  const space = await preflight(sumBytes(plan.records) - sumBytes([...kept.values()]));
  const warning = [space, ...tokenizerWarnings(opened.header.metadata)].filter(Boolean).join(' ');
  if (existing) await store.removeModel(id); // of another layout version
  try {
    const records = await storeRecords(withWarning(inputs, warning), { opened, facts, kept });
    const manifest: ModelManifest = { ...facts, importedAt: Date.now(), records };
    await store.putManifest(manifest);
    return summarize(manifest);
  } catch (error) {
    // Report the first error, even if the clean-up fails too.
    if (!canResume(inputs.signal, error)) await store.removeModel(id).catch(() => {});
    throw error;
  }
}

/** Adds a warning to every progress report. */
function withWarning(inputs: ImportInputs, warning: string): ImportInputs {
  if (!warning) return inputs;
  return { ...inputs, onProgress: (progress: ImportProgress) => inputs.onProgress({ ...progress, warning }) };
}
