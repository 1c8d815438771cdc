/**
 * Samples of a file's weights. They are part of a model's id, so that two files with the same header are distinguished, and
 * they show whether a file is still the same while it is being read.
 */
import { MixtabError } from '../../src/contract/errors.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import type { GgufHeader, GgufTensor } from '../format/gguf/header.ts';
import { ggufBytes, isPlainType } from '../format/quantization/repack.ts';
import { weightTypeOf } from '../format/weight-layout.ts';
import { mapLimit } from '../store/map-limit.ts';
import type { ByteSource } from './byte-source.ts';
import { sameBytes } from './file-identity.ts';

/** Some bytes of the file. */
export interface ContentSample {
  offset: Bytes;
  bytes: Uint8Array<ArrayBuffer>;
}

type Range = Pick<ContentSample, 'offset'> & { length: Bytes };

/** Ranges of the weights that are evenly spread over the file. */
const SPREAD = 16;
const SPREAD_BYTES: Bytes = 1024;
/** At least this much of each tensor: whole blocks, so that they can be compared with a stored record. */
const TENSOR_BYTES: Bytes = 64;
/** Requests at once. More would not be answered faster. */
const REQUESTS = 6;
/** Samples that are closer together are read with one request. */
const MAX_GAP: Bytes = 64 * 1024;

/** Reads samples that are evenly spread over the weights. Most of a model's bytes are experts, so most samples are. */
export function readSpread(
  source: ByteSource,
  { tensors, fileBytes }: GgufHeader,
  signal?: AbortSignal,
): Promise<ContentSample[]> {
  const start = Math.min(...tensors.map(({ offset }) => offset));
  const ranges = Array.from({ length: SPREAD }, (_, n) => {
    const offset = Math.floor(start + ((fileBytes - start) * n) / SPREAD);
    return { offset, length: Math.min(SPREAD_BYTES, fileBytes - offset) };
  });
  return readRanges(source, ranges, signal);
}

/**
 * Reads a sample of every tensor, each at another fraction of the tensor: the experts of a layer share tensors, and over
 * all layers every expert is met.
 */
export function readTensorSamples(
  source: ByteSource,
  { tensors }: GgufHeader,
  signal?: AbortSignal,
): Promise<ContentSample[]> {
  return readRanges(source, tensors.map(tensorRange), signal);
}

function tensorRange({ shape, ggmlType, offset }: GgufTensor, index: number): Range {
  const type = weightTypeOf(ggmlType)!; // other types are refused when the import is planned
  const weights = shape.reduce((product, n) => product * n, 1);
  const bytes = ggufBytes(type, weights / shape[0], shape[0]);
  const unit = isPlainType(type) ? type.blockBytes / type.blockWeights : type.blockBytes;
  const units = Math.min(Math.ceil(TENSOR_BYTES / unit), bytes / unit);
  const fraction = ((index + 1) * 0.618034) % 1; // of the golden ratio: never in step with the number of layers or experts
  return { offset: offset + Math.floor((bytes / unit - units) * fraction) * unit, length: units * unit };
}

/** Reads ranges in any order. Close ones share a request. */
async function readRanges(
  source: Pick<ByteSource, 'read'>,
  ranges: readonly Range[],
  signal?: AbortSignal,
): Promise<ContentSample[]> {
  const { results, failure } = await mapLimit(grouped(ranges), REQUESTS, async (group) => {
    const start = group[0].offset;
    const bytes = await source.read(start, endOf(group) - start, signal);
    return group.map(({ offset, length }) => ({ offset, bytes: bytes.slice(offset - start, offset - start + length) }));
  });
  if (failure) throw failure.error;
  return results.flat();
}

/** Ranges sorted by offset, in groups without large gaps. */
function grouped(ranges: readonly Range[]): Range[][] {
  const groups: Range[][] = [];
  for (const range of [...ranges].sort((a, b) => a.offset - b.offset)) {
    const last = groups.at(-1);
    if (last && range.offset - endOf(last) < MAX_GAP) last.push(range);
    else groups.push([range]);
  }
  return groups;
}

const endOf = (group: readonly Range[]): Bytes => Math.max(...group.map(({ offset, length }) => offset + length));

/**
 * Compares what was read at `offset` with the samples there.
 * @returns false if a sample differs: the file is another one than when the samples were read
 */
export function matchesSamples(samples: readonly ContentSample[], offset: Bytes, read: Uint8Array): boolean {
  return samples.every(({ offset: at, bytes }) => {
    const from = at - offset;
    if (from < 0 || from + bytes.byteLength > read.byteLength) return true;
    return sameBytes(read.subarray(from, from + bytes.byteLength), bytes);
  });
}

/** Reads samples again, from where the file comes from, and compares them. */
export async function isUnchanged(
  source: ByteSource,
  samples: readonly ContentSample[],
  signal?: AbortSignal,
): Promise<boolean> {
  const ranges = samples.map(({ offset, bytes }) => ({ offset, length: bytes.byteLength }));
  const read: ByteSource['read'] = (...range) =>
    source.readAgain ? source.readAgain(...range) : source.read(...range);
  const now = await readRanges({ read }, ranges, signal);
  return now.every(({ offset, bytes }) => matchesSamples(samples, offset, bytes));
}

/** The file is another one than when its import began, so what was stored may be a mixture. */
export class ContentChangedError extends MixtabError {
  constructor(name: string) {
    super(
      'source-changed',
      `${name} was replaced by another file while it was being imported.`,
      'Import it again. What was stored of it was deleted, because it may be a mixture of both files.',
    );
  }
}
