/** Opens the files or the URL that a user names, including all parts of a split GGUF, as one byte source. */
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
  type SplitInfo,
  type SplitName,
  splitName,
} from '../format/gguf/split.ts';
import { BlobByteSource, type ByteSource } from './byte-source.ts';
import { HttpByteSource, type HttpOptions } from './http-byte-source.ts';
import { HttpStatusError } from './http-request.ts';
import { JoinedByteSource, SplitByteSource } from './joined-byte-source.ts';

/**
 * Opens local files: a whole GGUF, or all parts of a split or cut one.
 * @param files one whole file, or all parts of a split one in any order
 * @param options `patienceMs`: how long one read may take; default: without a limit
 * @throws MixtabError `gguf-missing-part`, `gguf-mixed-parts`, or what reading a header throws
 */
export async function openFiles(
  files: readonly { blob: Blob; name: string }[],
  { signal, patienceMs }: { signal?: AbortSignal | undefined; patienceMs?: number | undefined } = {},
): Promise<ByteSource> {
  const sources = files.map(({ blob, name }) => new BlobByteSource(blob, name, patienceMs));
  if (sources.length === 0) throw new MixtabError('bad-request', 'No file was given.', 'Choose a .gguf file.');
  const piece = parsePieceName(sources[0].name);
  if (piece && sources.every(({ name }) => parsePieceName(name))) {
    return new JoinedByteSource(piece.whole, orderPieces(sources));
  }
  const parts: { name: string; size: Bytes; source: ByteSource; info: SplitInfo | undefined }[] = [];
  for (const source of sources) {
    const { metadata } = await readPartHeader(source, signal);
    parts.push({ name: source.name, size: source.size, source, info: readSplitInfo(metadata) });
  }
  if (parts.length === 1 && !parts[0].info) return sources[0];
  return new SplitByteSource(orderParts(parts).map(({ source }) => source));
}

/**
 * Opens a GGUF on a web server, including the other parts if it is split or cut.
 * @param url of a whole file or of any part of a split one; the other parts are looked for beside it
 * @throws MixtabError `gguf-missing-part`, `gguf-mixed-parts`, or what opening and reading a header throws
 */
export async function openUrl(url: string, options: HttpOptions = {}): Promise<ByteSource> {
  const given = await HttpByteSource.open(url, options);
  const piece = parsePieceName(given.name);
  if (piece) return openPieces(given, piece, options);
  const name = parseSplitName(given.name);
  // A part with another name is refused when its header is read. That error names the other parts.
  if (!name) return given;
  const info = readSplitInfo((await readPartHeader(given, options.signal)).metadata);
  if (!info) return given;
  if (info.count !== name.count || info.index !== name.part - 1) {
    throw mixedPartsError(`${given.name} is part ${info.index + 1} of ${info.count}, whatever its name says`);
  }
  return openParts(given, name, options);
}

/** Opens all parts of a split GGUF, each of which has its own header. */
async function openParts(given: HttpByteSource, name: SplitName, options: HttpOptions): Promise<ByteSource> {
  const parts: ByteSource[] = [];
  for (let part = 1; part <= name.count; part++) {
    const opened = part === name.part ? given : await openBeside(given, splitName({ ...name, part }), options);
    if (opened instanceof MixtabError) {
      throw missingPartsError(given.name, name.count, [part - 1], `out of reach (${reasonOf(opened)})`);
    }
    parts.push(opened);
  }
  return new SplitByteSource(parts);
}

/** Opens all pieces of a file that was cut. If their names lack a count, the first missing piece marks the end. */
async function openPieces(given: HttpByteSource, name: PieceName, options: HttpOptions): Promise<ByteSource> {
  const pieces: ByteSource[] = [];
  for (let piece = 1; piece <= (name.count ?? MAX_LETTERED_PIECES); piece++) {
    const file = pieceName({ ...name, piece });
    const opened = piece === name.piece ? given : await openBeside(given, file, options);
    if (!(opened instanceof MixtabError)) pieces.push(opened);
    else if (name.count === undefined && piece > name.piece && isNotFound(opened)) break;
    else throw missingPiecesError([file], `out of reach (${reasonOf(opened)})`);
  }
  return new JoinedByteSource(name.whole, pieces);
}

/** Pieces without a count are named by the letters a to z. */
const MAX_LETTERED_PIECES = 26;

const isNotFound = (error: MixtabError): boolean => error instanceof HttpStatusError && error.status === 404;

/** The message without its full stop, to be put into another sentence. */
const reasonOf = ({ message }: MixtabError): string => message.replace(/\.$/, '');

/**
 * Opens the file `name` in the same folder.
 * @returns the error if it cannot be reached
 */
async function openBeside(
  { url }: HttpByteSource,
  name: string,
  options: HttpOptions,
): Promise<ByteSource | MixtabError> {
  try {
    return await HttpByteSource.open(besideUrl(url, name), options);
  } catch (error) {
    if (error instanceof MixtabError && error.code === 'source-unreachable') return error;
    throw error;
  }
}
