/**
 * Turns a GGUF into records: read the header, plan the records, then read, repack, hash and store each of them. The
 * manifest is written last, so a model is listed only when every record is stored. A journal lists the stored records,
 * so that an interrupted import can continue.
 */
import { MixtabError } from '../../src/contract/errors.ts';
import type { ImportProgress, ModelSummary } from '../../src/contract/import-api.ts';
import { tokenizerWarnings } from '../format/gguf/tokenizer-data.ts';
import type { ModelManifest, RecordInfo } from '../format/manifest.ts';
import { LAYOUT_VERSION } from '../format/weight-layout.ts';
import { summarize } from '../store/catalog.ts';
import { sumBytes } from './build-record.ts';
import { chooseStorage } from './choose-storage.ts';
import { ContentChangedError } from './content-samples.ts';
import { DISCARD, type ImportInputs } from './import-inputs.ts';
import { readManifestFacts } from './manifest-facts.ts';
import { type IdentifiedModel, identifyModel, openModel } from './open-model.ts';
import { repairFrom } from './repair.ts';
import { recordsToKeep } from './resume.ts';
import { STALLED } from './stall-watch.ts';
import { partialManifest, type RecordsToStore, storeRecords } from './store-records.ts';

/**
 * Imports a model. If the same file is already stored, returns at once, or repairs it if it is damaged. If an import of
 * the file was interrupted, continues it.
 * @throws MixtabError what reading the file or storing it throws; `source-changed` if a stored model cannot be repaired;
 *   `not-allowed` if an embedding page would continue or replace what it did not begin
 */
export async function importModel(inputs: ImportInputs): Promise<ModelSummary> {
  const { source, onProgress, activity, lock = (_id, work) => work() } = inputs;
  onProgress({ phase: 'header', bytesDone: 0, bytesTotal: source.size, recordsDone: 0, recordsTotal: 0 });
  const open = async (): Promise<IdentifiedModel> => identifyModel(inputs, await openModel(inputs));
  const opened = await (activity ? activity.during('reading the header', open) : open());
  return lock(opened.id, () => importOpened(inputs, opened));
}

async function importOpened(inputs: ImportInputs, opened: IdentifiedModel): Promise<ModelSummary> {
  const { store, preflight } = inputs;
  const { id, plan } = opened;
  const facts = await readManifestFacts(inputs, opened);
  const existing = await store.getManifest(id);
  if (existing?.layoutVersion === LAYOUT_VERSION) {
    if (existing.state !== 'complete') return repairFrom(inputs, opened, existing);
    return summarize(await withOwner(inputs, existing));
  }
  // After this, what is there may be removed.
  const begun = existing ?? (await store.getJournal(id));
  if (inputs.embedder !== undefined && begun && begun.embedder !== inputs.embedder) throw begunByUser(facts.name);
  const kept = await recordsToKeep(store, opened);
  const space = await preflight(sumBytes(plan.records) - sumBytes([...kept.values()]));
  const warning = [space, ...tokenizerWarnings(opened.header.metadata)].filter(Boolean).join(' ');
  if (existing) await store.removeModel(id); // of another layout version
  const storage = await chooseStorage(inputs, sumBytes(plan.records), [...kept.values()]);
  const remaining = plan.records.filter(({ key }) => !kept.has(key));
  const work = { opened, facts, kept, storage };
  // The page loads the built-in model as soon as it can. Others may be used for hours before all of them is there.
  const isOffered = inputs.kind === 'builtin';
  const handOver = inputs.handOvers?.begin(id, remaining, isOffered ? partialManifest(work, kept) : undefined);
  try {
    const records = await storeAllRecords(
      withWarning(inputs, warning),
      handOver ? { ...work, handOver, isOffered } : work,
    );
    const manifest: ModelManifest = { ...facts, importedAt: Date.now(), records };
    await store.putManifest(manifest);
    return summarize(manifest);
  } catch (error) {
    handOver?.end(false);
    throw await keepOrRemove(inputs, id, error);
  }
}

/** A model that someone else imports as well than the embedding page that has it belongs to the user from then on. */
async function withOwner({ store, embedder }: ImportInputs, stored: ModelManifest): Promise<ModelManifest> {
  if (stored.embedder === undefined || stored.embedder === embedder) return stored;
  const changed = await store.updateManifest(stored.id, ({ embedder: _former, ...manifest }) => manifest);
  return changed ?? stored;
}

const begunByUser = (name: string): MixtabError =>
  new MixtabError(
    'not-allowed',
    `The import of ${name} was begun by the user, who has not allowed this page to continue it.`,
    'Show the frame (option container), so that the user can answer its question.',
  );

/** How often records that have disappeared are imported again, before the import fails. */
const MAX_REPEATS = 2;

/**
 * Stores all records, and checks that all are there before the manifest says so: the browser or another tab may have
 * cleared some of them meanwhile.
 * @throws MixtabError `record-missing` if records disappear again and again, and what storing them throws
 */
async function storeAllRecords(inputs: ImportInputs, work: RecordsToStore): Promise<RecordInfo[]> {
  const { id } = work.opened;
  let { kept } = work;
  for (let repeats = 0; ; repeats++) {
    const records = await storeRecords(inputs, { ...work, kept });
    const present = await inputs.store.storedRecords(id, records);
    if (present.size === records.length) return records;
    if (repeats === MAX_REPEATS) {
      throw new MixtabError(
        'record-missing',
        `${records.length - present.size} of ${records.length} stored records have disappeared: something else clears the storage of this page.`,
        'Close the other tabs of this page and import the model again.',
      );
    }
    kept = new Map(records.filter(({ key }) => present.has(key)).map((record) => [record.key, record]));
  }
}

/**
 * Decides what a failed import leaves behind. Only a user who gives it up and a file that turns out to be damaged remove
 * what was stored; after everything else the import can continue.
 * @returns the error to throw; it says if something was kept
 */
async function keepOrRemove({ store, signal }: ImportInputs, id: string, error: unknown): Promise<unknown> {
  if (signal.reason === STALLED) return error; // another attempt has taken over
  try {
    const remove = signal.aborted ? signal.reason === DISCARD : isFileFault(error);
    const journal = await store.getJournal(id);
    if (remove || journal?.records.length === 0) await store.removeModel(id);
    else if (!signal.aborted && error instanceof MixtabError) return journal ? keptError(error) : deletedError(error);
  } catch {
    // The first error is the one to report, even if the clean-up fails too.
  }
  return error;
}

/** True if what was stored can never become a whole model: the file is damaged, or there is another one in its place. */
const isFileFault = (error: unknown): boolean =>
  error instanceof ContentChangedError || (error instanceof MixtabError && error.code.startsWith('gguf-'));

function keptError({ code, message, remedy }: MixtabError): MixtabError {
  if (code === 'storage-full') {
    const next = 'Free disk space or remove a model, then continue the import on the models page; or delete it there.';
    return new MixtabError(code, `${message} What was stored so far is kept.`, next);
  }
  return new MixtabError(code, message, `${remedy} What is stored is kept: continue on the models page.`.trimStart());
}

/** Browsers delete the data of a page if the disk is full, or if they cannot open its database again. */
const deletedError = ({ code, message, remedy }: MixtabError): MixtabError =>
  new MixtabError(
    code,
    `${message} The browser has deleted what was stored of this model.`,
    `${remedy} Then import it again.`.trimStart(),
  );

/** Adds a warning to every progress report. */
function withWarning(inputs: ImportInputs, warning: string): ImportInputs {
  if (!warning) return inputs;
  return { ...inputs, onProgress: (progress: ImportProgress) => inputs.onProgress({ ...progress, warning }) };
}
