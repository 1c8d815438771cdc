/**
 * A GGUF becomes records: header, plan, then record by record: read, repack, hash, store. The manifest
 * is written last, so a model is listed only when every record is stored; a journal says what is there, so that an import
 * that was cut off can go on. While one record is hashed and stored the next is read; never more than two are in memory.
 */

import { MixtabError, throwIfAborted } from '../../src/contract/errors.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import type {
  ImportProgress,
  ModelConfig,
  ModelSource,
  ModelSummary,
  StorageBackend,
} from '../../src/contract/import-api.ts';
import { readConfig, readTokenizer } from '../format/gguf/config.ts';
import { type GgufHeader, readHeader } from '../format/gguf/header.ts';
import { Metadata } from '../format/gguf/metadata.ts';
import { type ImportPlan, type PlannedRecord, type PlannedTensor, planImport } from '../format/gguf/plan.ts';
import { isExpertKey, type ModelManifest, PART_BYTES, type RecordInfo } from '../format/manifest.ts';
import { dequantize } from '../format/quantization/dequantize.ts';
import { repackTensor } from '../format/quantization/repack.ts';
import { LAYOUT_VERSION, type TensorLayout } from '../format/weight-layout.ts';
import { summarize } from '../store/catalog.ts';
import { sha256Hex } from '../store/hash.ts';
import type { RecordRequests } from '../store/record-requests.ts';
import { byteLengthOf, type RecordBytes, type RecordStore } from '../store/store.ts';
import type { ByteSource } from './byte-source.ts';

export interface ImportInputs {
  store: RecordStore;
  source: ByteSource;
  kind: ModelSource['kind'];
  /** Where damaged records can be fetched again; absent for local files. */
  sourceUrl?: string;
  /** Where the records go; default: the database. */
  storage?: StorageBackend;
  signal: AbortSignal;
  onProgress: (progress: ImportProgress) => void;
  /** Called before the first record is stored; throws where the space will not do, returns a warning where it may not. */
  preflight: (bytes: Bytes) => Promise<string | undefined>;
  /** Which record to import next, where somebody runs the model already. */
  requests?: Pick<RecordRequests, 'next' | 'stored'>;
  /** Largest matrix that is kept whole; for tests. */
  maxMatrixBytes?: Bytes;
  /** So many bytes at most wait to be stored together; for tests. */
  batchBytes?: Bytes;
}

/** A Mixtral's expert is stored alone; of the built-in model's up to ten, as many as were read while others were being stored. */
const BATCH_BYTES: Bytes = 4e6;

/** The reason of an abort that keeps what is stored. */
export const PAUSE = 'pause';

/** A source that has been read far enough to know what records it will make. */
interface Opened {
  id: string;
  header: GgufHeader;
  config: ModelConfig;
  plan: ImportPlan;
}

async function openModel({ source, signal, maxMatrixBytes }: ImportInputs): Promise<Opened> {
  const header = await readHeader(source, signal);
  const config = readConfig(source.name, header.metadata);
  const plan = planImport(source.name, header, config, maxMatrixBytes);
  return { id: await modelId(source, header, signal), header, config, plan };
}

/** Imports a model; returns at once where the same file is stored already, and goes on where its import was cut off. */
export async function importModel(inputs: ImportInputs): Promise<ModelSummary> {
  const { store, source, onProgress, preflight } = inputs;
  onProgress({ phase: 'header', bytesDone: 0, bytesTotal: source.size, recordsDone: 0, recordsTotal: 0 });
  const opened = await openModel(inputs);
  const { id, plan } = opened;
  const manifestFacts = await factsOf(inputs, opened);
  const stored = await store.getManifest(id);
  if (stored?.layoutVersion === LAYOUT_VERSION) {
    return stored.state === 'complete' ? summarize(stored) : repairFrom(inputs, opened, stored);
  }
  const done = await recordsToKeep(store, opened);
  const warning = await preflight(sumBytes(plan.records) - sumBytes([...done.values()]));
  if (stored) await store.removeModel(id);
  try {
    const told = { ...inputs, ...(warning && { onProgress: (p: ImportProgress) => onProgress({ ...p, warning }) }) };
    const records = await storeRecords(told, opened, done, manifestFacts);
    const manifest: ModelManifest = { ...manifestFacts, importedAt: Date.now(), records };
    await store.putManifest(manifest);
    return summarize(manifest);
  } catch (error) {
    // No leftovers, unless the import may go on; the first error is the one that is told.
    if (!canResume(inputs.signal, error)) await store.removeModel(id).catch(() => {});
    throw error;
  }
}

/** True where a later import of the same file has a use for what is stored. */
const canResume = (signal: AbortSignal, error: unknown): boolean =>
  signal.aborted ? signal.reason === PAUSE : error instanceof MixtabError && error.code === 'source-unreachable';

const nameOf = ({ source }: ImportInputs, { metadata }: GgufHeader): string =>
  new Metadata(metadata).string('general.name', source.name.replace(/\.gguf$/i, ''));

/** All of the manifest but its records. */
async function factsOf(
  inputs: ImportInputs,
  { id, header, config, plan }: Opened,
): Promise<Omit<ModelManifest, 'records' | 'importedAt'>> {
  const metadata = new Metadata(header.metadata);
  return {
    id,
    layoutVersion: LAYOUT_VERSION,
    name: nameOf(inputs, header),
    origin: inputs.source.name,
    ...(inputs.sourceUrl !== undefined && { sourceUrl: inputs.sourceUrl }),
    source: inputs.kind,
    state: 'complete',
    config: await withRopeFactors(inputs, plan, config),
    parameterCount: plan.parameterCount,
    activeParameterCount: plan.activeParameterCount,
    typeShares: plan.typeShares,
    ...(metadata.has('general.license') && { license: metadata.string('general.license') }),
    ...(metadata.has('general.description') && { description: metadata.string('general.description') }),
    tokenizer: readTokenizer(inputs.source.name, header.metadata),
  };
}

/** Records that an import which was cut off has stored as this one would; anything else of it is removed. */
async function recordsToKeep(store: RecordStore, { id, plan }: Opened): Promise<Map<string, RecordInfo>> {
  const journal = await store.getJournal(id);
  const planned = new Map(plan.records.map((record) => [record.key, JSON.stringify(layoutsOf(record))]));
  const alike =
    journal?.layoutVersion === LAYOUT_VERSION &&
    journal.records.every(({ key, tensors }) => planned.get(key) === JSON.stringify(tensors));
  if (!journal || !alike) {
    if ((await store.getManifest(id)) === undefined) await store.removeModel(id);
    return new Map();
  }
  const present = await store.storedRecords(id, journal.records);
  return new Map(journal.records.filter(({ key }) => present.has(key)).map((record) => [record.key, record]));
}

const layoutsOf = ({ tensors }: Pick<PlannedRecord, 'tensors'>): TensorLayout[] => tensors.map(({ layout }) => layout);
const sumBytes = (records: readonly { bytes: Bytes }[]): Bytes => records.reduce((sum, { bytes }) => sum + bytes, 0);

/** Places of the file, evenly spread, whose bytes tell files with the same header apart (two checkpoints of one training, say). */
const SAMPLES = 16;
const SAMPLE_BYTES: Bytes = 1024;

/** The same file has the same id, wherever it comes from: a hash over its header, its size and samples of its weights. */
async function modelId(
  source: ByteSource,
  { metadata, tensors, fileBytes }: GgufHeader,
  signal: AbortSignal,
): Promise<string> {
  const start = Math.min(...tensors.map(({ offset }) => offset));
  const samples = await Promise.all(
    Array.from({ length: SAMPLES }, async (_, n) => {
      const offset = Math.floor(start + ((fileBytes - start) * n) / SAMPLES);
      return [...(await source.read(offset, Math.min(SAMPLE_BYTES, fileBytes - offset), signal))];
    }),
  );
  const facts = JSON.stringify([metadata, tensors, fileBytes, samples]);
  return (await sha256Hex(new TextEncoder().encode(facts))).slice(0, 16);
}

/**
 * Dense records first: with them the model can run, and asks for the experts it needs.
 * @param done records that are stored already
 * @param facts what the manifest will say beside its records
 */
async function storeRecords(
  inputs: ImportInputs,
  { id, header, plan }: Opened,
  done: ReadonlyMap<string, RecordInfo>,
  facts: Omit<ModelManifest, 'records' | 'importedAt'>,
): Promise<RecordInfo[]> {
  const { store, source, sourceUrl, signal, onProgress, requests, batchBytes = BATCH_BYTES } = inputs;
  const bytesTotal = sumBytes(plan.records);
  const stored = [...done.values()];
  const about = {
    id,
    layoutVersion: LAYOUT_VERSION,
    name: nameOf(inputs, header),
    origin: source.name,
    ...(sourceUrl !== undefined && { sourceUrl }),
  };
  let usable = false;
  const report = (): void =>
    onProgress({
      phase: 'records',
      bytesDone: sumBytes(stored),
      bytesTotal,
      recordsDone: stored.length,
      recordsTotal: plan.records.length,
      ...(usable && { usableId: id }),
    });
  const note = async (): Promise<void> => {
    await store.putJournal({ ...about, bytesTotal, records: stored });
    report();
  };
  const makeUsable = async (): Promise<void> => {
    const infos = new Map(stored.map((info) => [info.key, info]));
    const records = plan.records.map((record) => infos.get(record.key) ?? pendingInfo(record, inputs.storage));
    await store.putPartial({ ...facts, state: 'importing', importedAt: Date.now(), records });
    usable = true;
    report();
  };
  await note();
  let finishing: Promise<void> | undefined;
  /** The bytes first, then the note that says they are there. */
  const finish = async (batch: readonly BuiltRecord[]): Promise<void> => {
    const infos = await Promise.all(batch.map((record) => infoOf(record, inputs.storage)));
    await store.putRecords(id, batch, inputs.storage);
    stored.push(...infos);
    await note();
    for (const { key } of batch) requests?.stored(id, key);
  };
  /** What was built while others were being stored. */
  let batch: BuiltRecord[] = [];
  const storeBatch = (): void => {
    const now = batch;
    batch = [];
    finishing = finish(now).then(() => {
      finishing = undefined;
      if (batch.length > 0 && !signal.aborted) storeBatch();
    });
    finishing.catch(() => {}); // reported by the next `await finishing`
  };
  const byKey = new Map(plan.records.map((record) => [record.key, record]));
  const left = new Set(
    [...byKey.keys()].filter((key) => !done.has(key)).sort((a, b) => Number(isExpertKey(a)) - Number(isExpertKey(b))),
  );
  try {
    for (;;) {
      throwIfAborted(signal);
      const [first] = left;
      if (first === undefined) break;
      if (isExpertKey(first) && !usable) {
        while (finishing) await finishing;
        await makeUsable();
      }
      const key = (usable && (await requests?.next(id, left))) || first;
      left.delete(key);
      const record = byKey.get(key)!;
      const bytes = await buildRecord(inputs, record);
      batch.push({ ...record, bytes });
      if (!finishing) storeBatch();
      else if (byteLengthOf(batch) >= batchBytes) await finishing;
    }
    while (finishing) await finishing;
  } catch (error) {
    // Records may still be on their way into the store: wait, or they would be left over after the clean-up.
    while (finishing) {
      await finishing.catch(() => {
        finishing = undefined;
      });
    }
    throw error;
  }
  const infos = new Map(stored.map((info) => [info.key, info]));
  return plan.records.map(({ key }) => infos.get(key)!);
}

/** A record that is still to come. */
function pendingInfo(record: PlannedRecord, storage?: StorageBackend): RecordInfo {
  return {
    key: record.key,
    bytes: record.bytes,
    ...storageOf(record.bytes, storage),
    sha256: '',
    tensors: layoutsOf(record),
  };
}

const storageOf = (bytes: Bytes, storage?: StorageBackend): Pick<RecordInfo, 'place' | 'parts'> =>
  storage === 'opfs' ? { place: storage, parts: 1 } : { parts: Math.ceil(bytes / PART_BYTES) };

async function infoOf({ key, bytes, tensors }: BuiltRecord, storage?: StorageBackend): Promise<RecordInfo> {
  return {
    key,
    bytes: bytes.byteLength,
    ...storageOf(bytes.byteLength, storage),
    sha256: await sha256Hex(bytes),
    tensors: layoutsOf({ tensors }),
  };
}

/** A record as it will be stored. */
type BuiltRecord = Omit<PlannedRecord, 'bytes'> & RecordBytes;

async function buildRecord(
  { source, signal }: ImportInputs,
  { bytes, tensors }: PlannedRecord,
): Promise<Uint8Array<ArrayBuffer>> {
  const record = new Uint8Array(bytes);
  for (const tensor of tensors) {
    const raw = await source.read(tensor.offset, tensor.bytes, signal);
    repackTensor(converted(tensor, raw), tensor.layout, record);
  }
  return record;
}

/** The factors are few numbers that the CPU needs: they go to the manifest, not to a record. */
async function withRopeFactors(
  { source, signal }: ImportInputs,
  { ropeFactors }: ImportPlan,
  config: ModelConfig,
): Promise<ModelConfig> {
  if (!ropeFactors) return config;
  const factors = [
    ...dequantize(ropeFactors.sourceType.name, await source.read(ropeFactors.offset, ropeFactors.bytes, signal)),
  ];
  if (factors.every((factor) => factor > 0 && Number.isFinite(factor))) return { ...config, ropeFactors: factors };
  throw new MixtabError(
    'gguf-damaged',
    `${source.name} is damaged: ${ropeFactors.source} holds ${factors.find((factor) => !(factor > 0))}.`,
    'Use another file.',
  );
}

/** Norms of another type are widened to F32, which is exact. */
function converted({ layout, sourceType }: PlannedTensor, raw: Uint8Array<ArrayBuffer>): Uint8Array {
  if (layout.type === sourceType.name) return raw;
  return new Uint8Array(dequantize(sourceType.name, raw).buffer);
}

/**
 * Writes a model's damaged records anew, from the file it was made of.
 * @throws MixtabError `source-changed` where the source holds another file by now
 */
export async function repairModel(inputs: ImportInputs, manifest: ModelManifest): Promise<ModelSummary> {
  const opened = await openModel(inputs);
  if (opened.id === manifest.id) return repairFrom(inputs, opened, manifest);
  throw sourceChanged(inputs.source.name, manifest.name);
}

/**
 * Fetches one record of a stored model anew, from the file the model was made of.
 * @throws MixtabError `source-changed`, `source-unreachable`
 */
export async function refetchRecord(
  inputs: ImportInputs,
  manifest: ModelManifest,
  key: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const { id, plan } = await openModel(inputs);
  const info = manifest.records.find((record) => record.key === key);
  const planned = plan.records.find((record) => record.key === key);
  if (id !== manifest.id || !info || !planned) throw sourceChanged(inputs.source.name, manifest.name);
  const bytes = await buildRecord(inputs, planned);
  if ((await sha256Hex(bytes)) !== info.sha256) throw sourceChanged(inputs.source.name, manifest.name);
  await inputs.store.putRecord(id, key, bytes, info.place);
  return bytes;
}

async function repairFrom(inputs: ImportInputs, { plan }: Opened, manifest: ModelManifest): Promise<ModelSummary> {
  const { store, source, signal, onProgress } = inputs;
  const { id } = manifest;
  const bad = new Set(await verifyModel(store, id, onProgress));
  const records = manifest.records.filter(({ key }) => bad.has(key));
  await inputs.preflight(sumBytes(records));
  for (const [n, info] of records.entries()) {
    throwIfAborted(signal);
    const planned = plan.records.find(({ key }) => key === info.key);
    const bytes = planned && (await buildRecord(inputs, planned));
    if (!bytes || (await sha256Hex(bytes)) !== info.sha256) throw sourceChanged(source.name, manifest.name);
    await store.putRecord(id, info.key, bytes, info.place);
    onProgress({
      phase: 'records',
      bytesDone: sumBytes(records.slice(0, n + 1)),
      bytesTotal: sumBytes(records),
      recordsDone: n + 1,
      recordsTotal: records.length,
    });
  }
  const repaired: ModelManifest = { ...manifest, state: 'complete' };
  await store.putManifest(repaired);
  return summarize(repaired);
}

const sourceChanged = (source: string, model: string): MixtabError =>
  new MixtabError(
    'source-changed',
    `${source} is no longer the file that ${model} was made of.`,
    'Remove the model and import it again.',
  );

/** Reads every record again; returns the keys of those that are missing or damaged. */
export async function verifyModel(
  store: RecordStore,
  id: string,
  onProgress: (progress: ImportProgress) => void,
): Promise<string[]> {
  const manifest = await store.getManifest(id);
  if (!manifest) throw new MixtabError('model-not-found', `No model ${id} is stored.`);
  const bytesTotal = manifest.records.reduce((sum, { bytes }) => sum + bytes, 0);
  const bad: string[] = [];
  let bytesDone = 0;
  for (const [index, record] of manifest.records.entries()) {
    const bytes = await store.readRecord(id, record).catch(() => undefined);
    if (!bytes || (await sha256Hex(bytes)) !== record.sha256) bad.push(record.key);
    bytesDone += record.bytes;
    onProgress({
      phase: 'records',
      bytesDone,
      bytesTotal,
      recordsDone: index + 1,
      recordsTotal: manifest.records.length,
    });
  }
  const state = bad.length > 0 ? 'damaged' : 'complete';
  if (state !== manifest.state) await store.putManifest({ ...manifest, state });
  return bad;
}
