/** A GGUF's header: metadata and tensor table, parsed by @huggingface/gguf and checked against the file's size. */
import { GGMLQuantizationType, gguf } from '@huggingface/gguf';
import { MixtabError } from '../../src/contract/errors.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import { weightTypeOf } from '../../src/contract/weight-layout.ts';
import { ggufBytes } from './repack.ts';

/** Something that gives byte ranges of a GGUF. */
export interface ReadableFile {
  /** For messages: file name or URL. */
  name: string;
  size: Bytes;
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

/** No tensor of a real model has more; a larger product could overflow our arithmetic. */
const MAX_TENSOR_WEIGHTS = 2 ** 40;

/** Name of a type's number, for messages. */
export const typeName = (ggmlType: number): string => GGMLQuantizationType[ggmlType] ?? `number ${ggmlType}`;

/**
 * Reads and checks the header.
 * @throws MixtabError `gguf-not-gguf`, `gguf-truncated`, `gguf-damaged`, or what `file.read` throws
 */
export async function readHeader(file: ReadableFile, signal?: AbortSignal): Promise<GgufHeader> {
  await checkMagic(file, signal);
  let readPastEnd = false;
  let readError: unknown;
  /** The parser asks by fetch and reads some way ahead: past the end it gets nothing. */
  const fetchRange: typeof fetch = async (_url, init) => {
    const [first, last] = /(\d+)-(\d+)/.exec(new Headers(init?.headers).get('range') ?? '')!.slice(1).map(Number);
    const end = Math.min(last + 1, file.size);
    if (first >= end) {
      readPastEnd = true;
      return new Response(new Uint8Array(0));
    }
    try {
      return new Response(await file.read(first, end - first, signal));
    } catch (error) {
      readError = error;
      throw error;
    }
  };
  let parsed: Awaited<ReturnType<typeof gguf>>;
  try {
    parsed = await gguf('https://gguf.invalid/', { fetch: fetchRange });
  } catch (error) {
    if (readError) throw readError;
    if (readPastEnd) throw truncated(file, 'its header');
    throw damaged(file, error instanceof Error ? error.message : String(error));
  }
  if (!parsed.littleEndian) throw damaged(file, 'it is big-endian');
  if (parsed.tensorInfoByteRange[1] > file.size) throw truncated(file, 'its header');

  const dataStart = Number(parsed.tensorDataOffset);
  const tensors = parsed.tensorInfos.map(({ name, shape, dtype, offset }) => ({
    name,
    shape: shape.map(Number),
    ggmlType: dtype as number,
    offset: dataStart + Number(offset),
  }));
  for (const tensor of tensors) checkTensor(file, tensor);
  return { metadata: parsed.metadata as unknown as Record<string, unknown>, tensors, fileBytes: file.size };
}

async function checkMagic(file: ReadableFile, signal?: AbortSignal): Promise<void> {
  if (file.size < 24) {
    throw new MixtabError('gguf-not-gguf', `${file.name} has only ${file.size} bytes: it is no GGUF.`, 'Choose a .gguf file.');
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
  const bytes = ggufBytes(type, weights / shape[0], shape[0]);
  if (!Number.isInteger(bytes)) throw damaged(file, `rows of tensor ${name} are no whole ${type.name} blocks`);
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
