/** Makes a record from byte ranges of a GGUF, and describes it for manifest and journal. */
import { MixtabError } from '../../src/contract/errors.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import type { StorageBackend } from '../../src/contract/import-api.ts';
import type { PlannedRecord, PlannedTensor } from '../format/gguf/plan.ts';
import { PART_BYTES, type RecordInfo } from '../format/manifest.ts';
import { dequantize } from '../format/quantization/dequantize.ts';
import { findNonFinite } from '../format/quantization/finite.ts';
import { repackTensor } from '../format/quantization/repack.ts';
import type { TensorLayout } from '../format/weight-layout.ts';
import { sha256Hex, xxh64Hex } from '../store/hash.ts';
import { memoryFull } from '../store/record-errors.ts';
import type { RecordBytes } from '../store/store.ts';
import { type ContentSample, matchesSamples } from './content-samples.ts';
import type { ImportInputs } from './import-inputs.ts';

/** A planned record together with its bytes. */
export type BuiltRecord = Omit<PlannedRecord, 'bytes'> & RecordBytes;

/**
 * Reads the record's tensors from the source and repacks them.
 * @param samples of the file; what is read is compared with those inside it
 * @returns undefined if a sample differs
 * @throws MixtabError `gguf-damaged` if a weight is NaN or infinite, `memory-full`, or what reading throws
 */
export async function buildRecord(
  { source, signal }: Pick<ImportInputs, 'source' | 'signal'>,
  { key, bytes, tensors }: PlannedRecord,
  samples: readonly ContentSample[] = [],
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  let record: Uint8Array<ArrayBuffer>;
  try {
    record = new Uint8Array(bytes);
  } catch {
    throw memoryFull(`to build the weights ${key}`, bytes);
  }
  for (const tensor of tensors) {
    const raw = await source.read(tensor.offset, tensor.bytes, signal);
    if (!matchesSamples(samples, tensor.offset, raw)) return undefined;
    checkFinite(source.name, key, tensor, raw);
    repackTensor(inLayoutType(tensor, raw), tensor.layout, record);
  }
  return record;
}

/** With a NaN or infinite weight, a model writes fluent but random words, so its file is refused. */
function checkFinite(name: string, key: string, { layout, source, sourceType }: PlannedTensor, raw: Uint8Array): void {
  const weight = findNonFinite(sourceType.name, raw);
  if (weight === undefined) return;
  const row = Math.floor(weight / layout.cols);
  throw new MixtabError(
    'gguf-damaged',
    `${name} is damaged: tensor ${source} has NaN or infinite weights (record ${key}, row ${row}).`,
    'Download the file again, or use another one.',
  );
}

/** Norms of other types are widened to F32, which is exact. All other tensors keep their type. */
function inLayoutType({ layout, sourceType }: PlannedTensor, raw: Uint8Array<ArrayBuffer>): Uint8Array {
  if (layout.type === sourceType.name) return raw;
  return new Uint8Array(dequantize(sourceType.name, raw).buffer);
}

/** Describes a record that has been built. */
export async function recordInfoOf(record: BuiltRecord, storage?: StorageBackend): Promise<RecordInfo> {
  const { key, bytes } = record;
  // The browser computes SHA-256 in a thread of its own, so the checksum takes no time.
  const [sha256, xxh64] = await Promise.all([sha256Hex(bytes), xxh64Hex(bytes)]);
  return {
    key,
    bytes: bytes.byteLength,
    ...storageFields(bytes.byteLength, storage),
    sha256,
    ...(xxh64 !== undefined && { xxh64 }),
    tensors: layoutsOf(record),
    finite: true,
  };
}

/** Describes a record that is still to be imported: its hash is empty. */
export function pendingRecordInfo(record: PlannedRecord, storage?: StorageBackend): RecordInfo {
  const { key, bytes } = record;
  return { key, bytes, ...storageFields(bytes, storage), sha256: '', tensors: layoutsOf(record) };
}

/** Where each matrix is in a planned record. */
export const layoutsOf = ({ tensors }: Pick<PlannedRecord, 'tensors'>): TensorLayout[] =>
  tensors.map(({ layout }) => layout);

const storageFields = (bytes: Bytes, storage?: StorageBackend): Pick<RecordInfo, 'place' | 'parts'> =>
  storage === 'opfs' ? { place: storage, parts: 1 } : { parts: Math.ceil(bytes / PART_BYTES) };

/** The sizes of records, added up. */
export const sumBytes = (records: readonly { bytes: Bytes }[]): Bytes =>
  records.reduce((sum, { bytes }) => sum + bytes, 0);
