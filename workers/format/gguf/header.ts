/** A GGUF's header: metadata and tensor table, checked against the file's size. */
import { GGMLQuantizationType } from '@huggingface/gguf';
import { MixtabError } from '../../../src/contract/errors.ts';
import type { Bytes } from '../../../src/contract/ids.ts';
import { ggufBytes, isPlainType } from '../quantization/repack.ts';
import { weightTypeOf } from '../weight-layout.ts';
import { HeaderIncomplete, HeaderInvalid, parseHeader, type RawHeader } from './reader.ts';
import { missingPartsError, mixedPartsError, orderParts, readSplitInfo } from './split.ts';

/** Something that gives byte ranges of a GGUF. */
export interface ReadableFile {
  /** For messages: file name or URL. */
  name: string;
  size: Bytes;
  /** The files of a split GGUF in their order, whose bytes this one strings together. */
  parts?: readonly ReadableFile[];
  /** @returns exactly `length` bytes */
  read(offset: Bytes, length: Bytes, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
}

export interface GgufTensor {
  name: string;
  /** As ggml counts: shape[0] is the row's width. */
  shape: number[];
  ggmlType: number;
  /** From the start of the file. */
  offset: Bytes;
}

export interface GgufHeader {
  metadata: Record<string, unknown>;
  tensors: GgufTensor[];
  fileBytes: Bytes;
}

/** Read at once; a longer header (large vocabularies) takes further reads. No real header comes near the maximum. */
const FIRST_BYTES = 1 << 20;
const MAX_HEADER_BYTES = 1 << 26;
/** Where the file names none. */
const DEFAULT_ALIGNMENT = 32;

/** No tensor of a real model has more; a larger product could overflow our arithmetic. */
const MAX_TENSOR_WEIGHTS = 2 ** 40;

/** Name of a type's number, for messages. */
export const ggmlTypeName = (ggmlType: number): string => GGMLQuantizationType[ggmlType] ?? `number ${ggmlType}`;

/**
 * Reads and checks the header; of a split file those of all parts, as one.
 * @throws MixtabError `gguf-not-gguf`, `gguf-truncated`, `gguf-damaged`, `gguf-missing-part`, `gguf-mixed-parts`, or
 * what `file.read` throws
 */
export async function readHeader(file: ReadableFile, signal?: AbortSignal): Promise<GgufHeader> {
  if (file.parts) return readSplitHeader(file, file.parts, signal);
  const header = await readPartHeader(file, signal);
  const info = readSplitInfo(header.metadata);
  if (info) {
    const others = Array.from({ length: info.count }, (_, no) => no).filter((no) => no !== info.index);
    throw missingPartsError(file.name, info.count, others);
  }
  return header;
}

/** Each part counts its tensors' bytes from its own data section; here from the start of the first part. */
async function readSplitHeader(
  file: ReadableFile,
  parts: readonly ReadableFile[],
  signal?: AbortSignal,
): Promise<GgufHeader> {
  const headers: GgufHeader[] = [];
  for (const part of parts) headers.push(await readPartHeader(part, signal));
  const described = parts.map(({ name, size }, n) => ({ name, size, info: readSplitInfo(headers[n].metadata), n }));
  const order = orderParts(described).map(({ n }) => n);
  if (order.some((n, at) => n !== at)) throw mixedPartsError(`${parts[0].name} and the others are not in order`);
  let start = 0;
  const tensors = headers.flatMap((header, n) => {
    const before = start;
    start += parts[n].size;
    return header.tensors.map((tensor) => ({ ...tensor, offset: before + tensor.offset }));
  });
  const names = new Set(tensors.map(({ name }) => name));
  const expected = described[0].info?.tensorCount;
  if (names.size !== tensors.length || tensors.length !== expected) {
    throw mixedPartsError(`together they have ${names.size} different tensors instead of ${expected}`);
  }
  return { metadata: headers[0].metadata, tensors, fileBytes: file.size };
}

/** The header of one file, whole or part. */
export async function readPartHeader(file: ReadableFile, signal?: AbortSignal): Promise<GgufHeader> {
  await checkMagic(file, signal);
  const raw = await readRaw(file, signal);
  const alignment = raw.metadata['general.alignment'] ?? DEFAULT_ALIGNMENT;
  if (typeof alignment !== 'number' || !Number.isInteger(alignment) || alignment < 1) {
    throw damaged(file, `its alignment is ${String(alignment)}`);
  }
  const dataStart = Math.ceil(raw.end / alignment) * alignment;
  const tensors = raw.tensors.map((tensor) => ({ ...tensor, offset: dataStart + tensor.offset }));
  for (const tensor of tensors) checkTensor(file, tensor);
  return { metadata: raw.metadata, tensors, fileBytes: file.size };
}

/** Reads more and more of the file until the header is whole. */
async function readRaw(file: ReadableFile, signal?: AbortSignal): Promise<RawHeader> {
  for (let length = FIRST_BYTES; ; length *= 4) {
    const whole = length >= file.size;
    const bytes = await file.read(0, Math.min(length, file.size), signal);
    try {
      return parseHeader(bytes);
    } catch (error) {
      if (error instanceof HeaderInvalid) throw damaged(file, error.message);
      if (!(error instanceof HeaderIncomplete)) throw error;
      if (whole) throw truncated(file, 'the end of its header');
      if (length >= MAX_HEADER_BYTES) throw damaged(file, `its header is longer than ${MAX_HEADER_BYTES} bytes`);
    }
  }
}

async function checkMagic(file: ReadableFile, signal?: AbortSignal): Promise<void> {
  if (file.size < 24) {
    throw new MixtabError(
      'gguf-not-gguf',
      `${file.name} has only ${file.size} bytes: it is no GGUF.`,
      'Choose a .gguf file.',
    );
  }
  const magic = await file.read(0, 4, signal);
  if (String.fromCharCode(...magic) === 'GGUF') return;
  throw new MixtabError(
    'gguf-not-gguf',
    `${file.name} is no GGUF: it begins with ${[...magic].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')}, not with "GGUF".`,
    'Choose a .gguf file; for a web address, use the link that downloads the file.',
  );
}

/** The tensor's bytes must lie in the file; of types we do not know the size is unknown, and planning refuses them. */
function checkTensor(file: ReadableFile, { name, shape, ggmlType, offset }: GgufTensor): void {
  const weights = shape.reduce((product, n) => product * n, 1);
  if (shape.length === 0 || shape.some((n) => n < 1) || weights > MAX_TENSOR_WEIGHTS) {
    throw damaged(file, `tensor ${name} has the shape [${shape.join(', ')}]`);
  }
  const type = weightTypeOf(ggmlType);
  if (!type) return;
  if (!isPlainType(type) && shape[0] % type.blockWeights !== 0) {
    throw damaged(file, `rows of tensor ${name} are no whole ${type.name} blocks`);
  }
  const bytes = ggufBytes(type, weights / shape[0], shape[0]);
  if (!(offset + bytes <= file.size)) throw truncated(file, `tensor ${name}, which ends at byte ${offset + bytes}`);
}

function truncated(file: ReadableFile, what: string): MixtabError {
  return new MixtabError(
    'gguf-truncated',
    `${file.name} is cut off: it has ${file.size} bytes and ends before ${what}.`,
    'Download the file again, to the end.',
  );
}

function damaged(file: ReadableFile, how: string): MixtabError {
  return new MixtabError('gguf-damaged', `${file.name} is damaged: ${how}.`, 'Download the file again.');
}
