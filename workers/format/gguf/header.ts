/** Reads the header of a GGUF (metadata and tensor table) and checks it against the file's size. */
import { GGMLQuantizationType } from '@huggingface/gguf';
import { excerpt, MixtabError } from '../../../src/contract/errors.ts';
import type { Bytes } from '../../../src/contract/ids.ts';
import { ggufBytes, isPlainType } from '../quantization/repack.ts';
import { weightTypeOf } from '../weight-layout.ts';
import { describeValue } from './metadata.ts';
import { HeaderIncomplete, HeaderInvalid, parseHeader, type RawHeader } from './reader.ts';
import { missingPartsError, mixedPartsError, orderParts, readSplitInfo } from './split.ts';

/** A GGUF of which byte ranges can be read. */
export interface ReadableFile {
  /** File name or URL, for messages. */
  name: string;
  size: Bytes;
  /** The files of a split GGUF in order. The bytes of this file are theirs, concatenated. */
  parts?: readonly ReadableFile[];
  /** @returns exactly `length` bytes */
  read(offset: Bytes, length: Bytes, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
}

/** An entry of the tensor table. */
export interface GgufTensor {
  name: string;
  /** As ggml orders it: `shape[0]` is the width of a row. */
  shape: number[];
  ggmlType: number;
  /** Bytes from the start of the file. */
  offset: Bytes;
}

/** The header of a model, of one file or several. */
export interface GgufHeader {
  metadata: Record<string, unknown>;
  tensors: GgufTensor[];
  fileBytes: Bytes;
}

/** Bytes of the first read. Longer headers (large vocabularies) take further reads. */
const FIRST_BYTES = 1 << 20;
/**
 * Longest header. Attack: a header that never ends would be read into memory together with the whole file, and short
 * texts take several times their bytes. Real headers have a few megabytes, those of the largest vocabularies ten.
 */
const MAX_HEADER_BYTES = 1 << 25;
/** Alignment of the data section if the file does not state one. */
const DEFAULT_ALIGNMENT = 32;
/**
 * Largest tensor. Attack: a product above 2^53 is inexact, so a tensor beyond the file could pass the size check. The
 * largest tensors of 8x22B, its merged experts, have 2^29.6 weights.
 */
const MAX_TENSOR_WEIGHTS = 2 ** 40;

/** Name of the type with this ggml number, for messages. */
export const ggmlTypeName = (ggmlType: number): string => GGMLQuantizationType[ggmlType] ?? `number ${ggmlType}`;

/**
 * Reads and checks the header. The headers of a split file's parts are combined into one.
 * @throws MixtabError `gguf-not-gguf`, `gguf-truncated`, `gguf-damaged`, `gguf-missing-part`, `gguf-mixed-parts`, or
 * what `file.read` throws
 */
export async function readHeader(file: ReadableFile, signal?: AbortSignal): Promise<GgufHeader> {
  if (file.parts) return readSplitHeader(file, file.parts, signal);
  const header = await readPartHeader(file, signal);
  const info = readSplitInfo(header.metadata);
  if (info) {
    const others = Array.from({ length: info.count }, (_, index) => index).filter((index) => index !== info.index);
    throw missingPartsError(file.name, info.count, others);
  }
  return header;
}

/** Combines the headers of all parts. Offsets become relative to the start of the first part. */
async function readSplitHeader(
  file: ReadableFile,
  parts: readonly ReadableFile[],
  signal?: AbortSignal,
): Promise<GgufHeader> {
  const headers: GgufHeader[] = [];
  for (const part of parts) headers.push(await readPartHeader(part, signal));
  const described = parts.map(({ name, size }, n) => ({ name, size, info: readSplitInfo(headers[n].metadata), n }));
  const order = orderParts(described).map(({ n }) => n);
  if (order.some((n, index) => n !== index)) {
    throw mixedPartsError(`${parts[0].name} and the other parts are not in order`);
  }
  let end = 0;
  const tensors = headers.flatMap((header, n) => {
    const start = end;
    end += parts[n].size;
    return header.tensors.map((tensor) => ({ ...tensor, offset: start + tensor.offset }));
  });
  const names = new Set(tensors.map(({ name }) => name));
  const expected = described[0].info?.tensorCount;
  if (names.size !== tensors.length || tensors.length !== expected) {
    throw mixedPartsError(`together they have ${names.size} different tensors instead of ${expected}`);
  }
  return { metadata: headers[0].metadata, tensors, fileBytes: file.size };
}

/**
 * Reads and checks the header of one file: a whole GGUF, or one part of a split GGUF.
 * @throws MixtabError `gguf-not-gguf`, `gguf-truncated`, `gguf-damaged`, or what `file.read` throws
 */
export async function readPartHeader(file: ReadableFile, signal?: AbortSignal): Promise<GgufHeader> {
  await checkMagic(file, signal);
  const raw = await readRaw(file, signal);
  const alignment = raw.metadata['general.alignment'] ?? DEFAULT_ALIGNMENT;
  if (typeof alignment !== 'number' || !Number.isInteger(alignment) || alignment < 1) {
    throw damaged(file, `its alignment is ${describeValue(alignment)}`);
  }
  const dataStart = Math.ceil(raw.end / alignment) * alignment;
  const tensors = raw.tensors.map((tensor) => ({ ...tensor, offset: dataStart + tensor.offset }));
  for (const tensor of tensors) checkTensor(file, tensor);
  checkOverlaps(file, tensors);
  return { metadata: raw.metadata, tensors, fileBytes: file.size };
}

/** Reads more and more of the file until the header is complete. */
async function readRaw(file: ReadableFile, signal?: AbortSignal): Promise<RawHeader> {
  for (let length = FIRST_BYTES; ; length = Math.min(4 * length, MAX_HEADER_BYTES)) {
    const isWholeFile = length >= file.size;
    const bytes = await file.read(0, Math.min(length, file.size), signal);
    try {
      return parseHeader(bytes);
    } catch (error) {
      if (error instanceof HeaderInvalid) throw damaged(file, error.message);
      if (!(error instanceof HeaderIncomplete)) throw error;
      if (isWholeFile) throw truncated(file, 'the end of its header');
      if (length >= MAX_HEADER_BYTES) throw damaged(file, `its header is longer than ${MAX_HEADER_BYTES} bytes`);
    }
  }
}

async function checkMagic(file: ReadableFile, signal?: AbortSignal): Promise<void> {
  if (file.size < 24) {
    throw new MixtabError(
      'gguf-not-gguf',
      `${file.name} is not a GGUF file: it has only ${file.size} bytes.`,
      'Choose a .gguf file.',
    );
  }
  const magic = await file.read(0, 4, signal);
  if (String.fromCharCode(...magic) === 'GGUF') return;
  const hex = [...magic].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
  throw new MixtabError(
    'gguf-not-gguf',
    `${file.name} is not a GGUF file: it begins with the bytes ${hex} instead of "GGUF".`,
    'Choose a .gguf file, or use the address that downloads the file itself.',
  );
}

/**
 * Refuses tensors that share bytes. Attack: a file of 1 MB whose tensors are all the same bytes would become records of
 * many gigabytes.
 */
function checkOverlaps(file: ReadableFile, tensors: readonly GgufTensor[]): void {
  let before: { name: string; end: Bytes } | undefined;
  for (const tensor of [...tensors].sort((a, b) => a.offset - b.offset)) {
    const bytes = tensorBytes(tensor);
    if (bytes === 0) continue; // of a type that is refused later
    if (before && tensor.offset < before.end) {
      throw damaged(file, `the tensors ${excerpt(before.name)} and ${excerpt(tensor.name)} overlap`);
    }
    before = { name: tensor.name, end: tensor.offset + bytes };
  }
}

/** Bytes of a tensor in the file; 0 for types that mixtab does not know. */
export function tensorBytes({ shape, ggmlType }: Pick<GgufTensor, 'shape' | 'ggmlType'>): Bytes {
  const type = weightTypeOf(ggmlType);
  const weights = shape.reduce((product, n) => product * n, 1);
  return type ? ggufBytes(type, weights / shape[0], shape[0]) : 0;
}

/**
 * Checks that a tensor's bytes are within the file. Tensors of unknown types are not checked here; `planImport` refuses
 * them.
 */
function checkTensor(file: ReadableFile, { name, shape, ggmlType, offset }: GgufTensor): void {
  const shown = excerpt(name);
  const weights = shape.reduce((product, n) => product * n, 1);
  if (shape.length === 0 || shape.some((n) => n < 1) || weights > MAX_TENSOR_WEIGHTS) {
    throw damaged(file, `tensor ${shown} has the shape [${shape.join(', ')}]`);
  }
  const type = weightTypeOf(ggmlType);
  if (!type) return;
  if (!isPlainType(type) && shape[0] % type.blockWeights !== 0) {
    throw damaged(file, `rows of tensor ${shown} are not whole ${type.name} blocks`);
  }
  const bytes = tensorBytes({ shape, ggmlType });
  if (!(offset + bytes <= file.size)) throw truncated(file, `tensor ${shown}, which ends at byte ${offset + bytes}`);
}

/** @param what the file ends before this */
function truncated(file: ReadableFile, what: string): MixtabError {
  return new MixtabError(
    'gguf-truncated',
    `${file.name} is cut off: it has ${file.size} bytes and ends before ${what}.`,
    'Download the whole file again.',
  );
}

function damaged(file: ReadableFile, problem: string): MixtabError {
  return new MixtabError('gguf-damaged', `${file.name} is damaged: ${problem}.`, 'Download the file again.');
}
