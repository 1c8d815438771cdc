/**
 * A GGUF becomes records: header, plan, then record by record: read, repack, hash, store. The manifest
 * is written last, so a model is listed only when every record is stored. While one record is stored
 * the next is read; never more than two are in memory.
 */
import type { ImportProgress, ModelConfig, ModelSource, ModelSummary } from '../../src/contract/engine-api.ts';
import { MixtabError } from '../../src/contract/errors.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import { LAYOUT_VERSION, type ModelManifest, PART_BYTES, type RecordInfo, type RecordPlace } from '../../src/contract/weight-layout.ts';
import { readConfig, readTokenizer } from '../gguf/config.ts';
import { dequantize } from '../gguf/dequantize.ts';
import { type GgufHeader, readHeader } from '../gguf/header.ts';
import { Metadata } from '../gguf/metadata.ts';
import { type ImportPlan, type PlannedRecord, type PlannedTensor, planImport } from '../gguf/plan.ts';
import { repackTensor } from '../gguf/repack.ts';
import type { ByteSource } from './byte-source.ts';
import { summarize } from './catalog.ts';
import { sha256Hex } from './hash.ts';
import { type RecordStore, throwIfAborted } from './store.ts';

export interface ImportInputs {
  store: RecordStore;
  source: ByteSource;
  kind: ModelSource['kind'];
  /** Where damaged records can be fetched again; absent for local files. */
  sourceUrl?: string;
  /** Where the records go; default: the database. */
  place?: RecordPlace;
  signal: AbortSignal;
  onProgress: (progress: ImportProgress) => void;
  /** Called before the first record is stored; throws where the space will not do. */
  preflight: (bytes: Bytes) => Promise<void>;
  /** Largest matrix that is kept whole; for tests. */
  maxMatrixBytes?: Bytes;
}

/** Imports a model; returns at once where the same file is stored already. */
export async function importModel(inputs: ImportInputs): Promise<ModelSummary> {
  const { store, source, signal, onProgress, preflight } = inputs;
  onProgress({ phase: 'header', bytesDone: 0, bytesTotal: source.size, recordsDone: 0, recordsTotal: 0 });
  const header = await readHeader(source, signal);
  const config = readConfig(source.name, header.metadata);
  const tokenizer = readTokenizer(source.name, header.metadata);
  const plan = planImport(source.name, header, config, inputs.maxMatrixBytes);

  const id = await modelId(source, header, signal);
  const stored = await store.getManifest(id);
  if (stored?.state === 'complete' && stored.layoutVersion === LAYOUT_VERSION) return summarize(stored);
  await preflight(plan.records.reduce((sum, { bytes }) => sum + bytes, 0));
  if (stored) await store.removeModel(id);
  try {
    const records = await storeRecords(inputs, id, plan);
    const metadata = new Metadata(header.metadata);
    const manifest: ModelManifest = {
      id,
      layoutVersion: LAYOUT_VERSION,
      name: metadata.string('general.name', source.name.replace(/\.gguf$/i, '')),
      origin: source.name,
      ...(inputs.sourceUrl !== undefined && { sourceUrl: inputs.sourceUrl }),
      source: inputs.kind,
      state: 'complete',
      importedAt: Date.now(),
      config: await withRopeFactors(inputs, plan, config),
      parameterCount: plan.parameterCount,
      activeParameterCount: plan.activeParameterCount,
      typeShares: plan.typeShares,
      ...(metadata.has('general.license') && { license: metadata.string('general.license') }),
      ...(metadata.has('general.description') && { description: metadata.string('general.description') }),
      tokenizer,
      records,
    };
    await store.putManifest(manifest);
    return summarize(manifest);
  } catch (error) {
    // Whatever went wrong: no leftovers, and the first error is the one that is told.
    await store.removeModel(id).catch(() => {});
    throw error;
  }
}

/** Places of the file, evenly spread, whose bytes tell files with the same header apart (two checkpoints of one training, say). */
const SAMPLES = 16;
const SAMPLE_BYTES: Bytes = 1024;

/** The same file has the same id, wherever it comes from: a hash over its header, its size and samples of its weights. */
async function modelId(source: ByteSource, { metadata, tensors, fileBytes }: GgufHeader, signal: AbortSignal): Promise<string> {
  const start = Math.min(...tensors.map(({ offset }) => offset));
  const samples: number[][] = [];
  for (let n = 0; n < SAMPLES; n++) {
    const offset = Math.floor(start + ((fileBytes - start) * n) / SAMPLES);
    samples.push([...(await source.read(offset, Math.min(SAMPLE_BYTES, fileBytes - offset), signal))]);
  }
  const facts = JSON.stringify([metadata, tensors, fileBytes, samples]);
  return (await sha256Hex(new TextEncoder().encode(facts))).slice(0, 16);
}

async function storeRecords(inputs: ImportInputs, id: string, plan: ImportPlan): Promise<RecordInfo[]> {
  const { store, signal, onProgress } = inputs;
  const bytesTotal = plan.records.reduce((sum, { bytes }) => sum + bytes, 0);
  const infos: RecordInfo[] = [];
  let bytesDone = 0;
  let storing: Promise<unknown> = Promise.resolve();
  try {
    for (const record of plan.records) {
      throwIfAborted(signal);
      const bytes = await buildRecord(inputs, record);
      const hash = await sha256Hex(bytes);
      await storing;
      throwIfAborted(signal);
      infos.push({
        key: record.key,
        bytes: bytes.byteLength,
        ...(inputs.place === 'opfs' ? { place: 'opfs', parts: 1 } : { parts: Math.ceil(bytes.byteLength / PART_BYTES) }),
        sha256: hash,
        tensors: record.tensors.map(({ layout }) => layout),
      });
      storing = store.putRecord(id, record.key, bytes, inputs.place).then(() => {
        bytesDone += bytes.byteLength;
        onProgress({
          phase: 'records', bytesDone, bytesTotal, recordsDone: infos.length, recordsTotal: plan.records.length,
        });
      });
      storing.catch(() => {}); // reported by the next `await storing`
    }
    await storing;
  } catch (error) {
    // A record may still be on its way into the store: wait, or it would be left over after the clean-up.
    await storing.catch(() => {});
    throw error;
  }
  return infos;
}

async function buildRecord({ source, signal }: ImportInputs, { bytes, tensors }: PlannedRecord): Promise<Uint8Array<ArrayBuffer>> {
  const record = new Uint8Array(bytes);
  for (const tensor of tensors) {
    const raw = await source.read(tensor.offset, tensor.bytes, signal);
    repackTensor(converted(tensor, raw), tensor.layout, record);
  }
  return record;
}

/** The factors are few numbers that the CPU needs: they go to the manifest, not to a record. */
async function withRopeFactors({ source, signal }: ImportInputs, { ropeFactors }: ImportPlan, config: ModelConfig): Promise<ModelConfig> {
  if (!ropeFactors) return config;
  const factors = [...dequantize(ropeFactors.sourceType.name, await source.read(ropeFactors.offset, ropeFactors.bytes, signal))];
  if (factors.every((factor) => factor > 0 && Number.isFinite(factor))) return { ...config, ropeFactors: factors };
  throw new MixtabError('gguf-damaged', `${source.name} is damaged: ${ropeFactors.source} holds ${factors.find((factor) => !(factor > 0))}.`, 'Use another file.');
}

/** Norms of another type are widened to F32, which is exact. */
function converted({ layout, sourceType }: PlannedTensor, raw: Uint8Array<ArrayBuffer>): Uint8Array {
  if (layout.type === sourceType.name) return raw;
  return new Uint8Array(dequantize(sourceType.name, raw).buffer);
}

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
      phase: 'records', bytesDone, bytesTotal, recordsDone: index + 1, recordsTotal: manifest.records.length,
    });
  }
  const state = bad.length > 0 ? 'damaged' : 'complete';
  if (state !== manifest.state) await store.putManifest({ ...manifest, state });
  return bad;
}
