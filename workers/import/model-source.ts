/** Opens what a user names: a file, an address, or the parts of a split GGUF, as one source of bytes. */
import { MixtabError } from '../../src/contract/errors.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import { readPartHeader } from '../format/gguf/header.ts';
import {
  besideUrl,
  missingPartsError,
  missingPiecesError,
  mixedPartsError,
  orderParts,
  orderPieces,
  type PieceName,
  parsePieceName,
  parseSplitName,
  pieceName,
  readSplitInfo,
  splitName,
} from '../format/gguf/split.ts';
import { BlobByteSource, type ByteSource, checkRange } from './byte-source.ts';
import { HttpByteSource, type HttpOptions } from './http-byte-source.ts';

/** Several files strung together. */
class JoinedByteSource implements ByteSource {
  readonly size: Bytes;

  constructor(
    readonly name: string,
    private readonly files: readonly ByteSource[],
  ) {
    this.size = files.reduce((sum, { size }) => sum + size, 0);
  }

  async read(offset: Bytes, length: Bytes, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(this, offset, length);
    let start = 0;
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    for (const part of this.files) {
      const from = Math.max(offset, start);
      const to = Math.min(offset + length, start + part.size);
      if (to > from) pieces.push(await part.read(from - start, to - from, signal));
      start += part.size;
    }
    if (pieces.length === 1) return pieces[0];
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const piece of pieces) {
      bytes.set(piece, at);
      at += piece.byteLength;
    }
    return bytes;
  }
}

/** The parts of a split GGUF, in order: each has a header of its own. */
class SplitByteSource extends JoinedByteSource {
  constructor(readonly parts: readonly ByteSource[]) {
    const [{ name }] = parts;
    super(`${parseSplitName(name)?.prefix ?? name.replace(/\.gguf$/i, '')}.gguf`, parts);
  }
}

/**
 * @param files one whole file, or all parts of a split one in any order
 * @throws MixtabError `gguf-missing-part`, `gguf-mixed-parts`, or what reading a header throws
 */
export async function openFiles(
  files: readonly { blob: Blob; name: string }[],
  signal?: AbortSignal,
): Promise<ByteSource> {
  const sources = files.map(({ blob, name }) => new BlobByteSource(blob, name));
  if (sources.length === 0) throw new MixtabError('bad-request', 'No file was given.', 'Choose a .gguf file.');
  const piece = parsePieceName(sources[0].name);
  if (piece && sources.every(({ name }) => parsePieceName(name)))
    return new JoinedByteSource(piece.whole, orderPieces(sources));
  const parts: { name: string; size: Bytes; source: ByteSource; info: ReturnType<typeof readSplitInfo> }[] = [];
  for (const source of sources) {
    const { metadata } = await readPartHeader(source, signal);
    parts.push({ name: source.name, size: source.size, source, info: readSplitInfo(metadata) });
  }
  if (parts.length === 1 && !parts[0].info) return sources[0];
  return new SplitByteSource(orderParts(parts).map(({ source }) => source));
}

/**
 * @param url of a whole file, or of any part of a split one: the others are looked for beside it
 * @throws MixtabError `gguf-missing-part`, `gguf-mixed-parts`, or what opening and reading a header throws
 */
export async function openUrl(url: string, options: HttpOptions = {}): Promise<ByteSource> {
  const given = await HttpByteSource.open(url, options);
  const piece = parsePieceName(given.name);
  if (piece) return openPieces(url, given, piece, options);
  const name = parseSplitName(given.name);
  if (!name) return given; // a part under another name is refused, and its others named, when its header is read
  const info = readSplitInfo((await readPartHeader(given, options.signal)).metadata);
  if (!info) return given;
  if (info.count !== name.count || info.index !== name.part - 1) {
    throw mixedPartsError(`${given.name} is part ${info.index + 1} of ${info.count}, whatever its name says`);
  }
  const parts: ByteSource[] = [];
  for (let part = 1; part <= info.count; part++) {
    if (part === name.part) {
      parts.push(given);
      continue;
    }
    const opened = await openBeside(url, splitName({ ...name, part }), options);
    if (typeof opened === 'string')
      throw missingPartsError(given.name, info.count, [part - 1], `out of reach (${opened})`);
    parts.push(opened);
  }
  return new SplitByteSource(parts);
}

/** Where names do not tell how many pieces there are, the first one that is not there is the end. */
async function openPieces(url: string, given: ByteSource, name: PieceName, options: HttpOptions): Promise<ByteSource> {
  const pieces: ByteSource[] = [];
  for (let piece = 1; piece <= (name.count ?? LETTERS); piece++) {
    const file = pieceName({ ...name, piece });
    const opened = piece === name.piece ? given : await openBeside(url, file, options);
    if (typeof opened !== 'string') pieces.push(opened);
    else if (name.count === undefined && piece > name.piece && opened.includes('404')) break;
    else throw missingPiecesError([file], `out of reach (${opened})`);
  }
  return new JoinedByteSource(name.whole, pieces);
}

const LETTERS = 26;

/** @returns why not, where the file is out of reach */
async function openBeside(url: string, name: string, options: HttpOptions): Promise<ByteSource | string> {
  try {
    return await HttpByteSource.open(besideUrl(url, name), options);
  } catch (error) {
    if (error instanceof MixtabError && error.code === 'source-unreachable') return error.message.replace(/\.$/, '');
    throw error;
  }
}
