/**
 * Models in several files. There are two kinds:
 *
 * - Split GGUFs, in parts `NAME-00001-of-00005.gguf` and so on. Each part is a GGUF with some of the tensors. The first
 *   part has the model's metadata.
 * - Cut GGUFs, in pieces `NAME.gguf.part1of3` or `NAME.gguf-split-a`. Someone cut the bytes anywhere, for example
 *   because a host limits the size of files. Only the first piece begins like a GGUF; concatenated, the pieces are one.
 *
 * This module parses the names, puts the files into order and checks that they belong together. It reads no files.
 */
import { MixtabError } from '../../../src/contract/errors.ts';
import type { Bytes } from '../../../src/contract/ids.ts';
import { describeValue } from './metadata.ts';

const CHOOSE_ALL = 'Choose or drop all files of the model together, or give an address next to which the others are.';
const SPLIT_NAME = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/i;

/** The name of a split GGUF's part, taken apart. */
export interface SplitName {
  /** The beginning that the names of all parts share. */
  prefix: string;
  /** Number of the part, from 1 as in names. */
  part: number;
  count: number;
}

/** Takes a part's name apart. Undefined if the file is not named like a part. */
export function parseSplitName(name: string): SplitName | undefined {
  const match = SPLIT_NAME.exec(name);
  return match ? { prefix: match[1], part: Number(match[2]), count: Number(match[3]) } : undefined;
}

/** The name of a part; the inverse of {@link parseSplitName}. */
export const splitName = ({ prefix, part, count }: SplitName): string =>
  `${prefix}-${String(part).padStart(5, '0')}-of-${String(count).padStart(5, '0')}.gguf`;

/** Replaces the file name in an address. */
export function besideUrl(url: string, name: string): string {
  const parsed = new URL(url);
  parsed.pathname = parsed.pathname.slice(0, parsed.pathname.lastIndexOf('/') + 1) + encodeURIComponent(name);
  return parsed.href;
}

/** The name of a cut GGUF's piece, taken apart. */
export interface PieceName {
  /** Name of the whole file. */
  whole: string;
  /** Number of the piece, from 1. */
  piece: number;
  /** Undefined for lettered names (`NAME.gguf-split-a`), which do not state the count. */
  count: number | undefined;
}

/** Takes a piece's name apart. Undefined if the file is not named like a piece. */
export function parsePieceName(name: string): PieceName | undefined {
  const numbered = /^(.*\.gguf)\.part(\d{1,3})of(\d{1,3})$/i.exec(name);
  if (numbered) return { whole: numbered[1], piece: Number(numbered[2]), count: Number(numbered[3]) };
  const lettered = /^(.*\.gguf)-split-([a-z])$/i.exec(name);
  return lettered
    ? { whole: lettered[1], piece: lettered[2].toLowerCase().charCodeAt(0) - 96, count: undefined }
    : undefined;
}

/** The name of a piece; the inverse of {@link parsePieceName}. */
export const pieceName = ({ whole, piece, count }: PieceName): string =>
  count === undefined ? `${whole}-split-${String.fromCharCode(96 + piece)}` : `${whole}.part${piece}of${count}`;

/**
 * Sorts pieces by their numbers.
 * @param files with names that {@link parsePieceName} understands
 * @throws MixtabError `gguf-missing-part` if a number is missing, `gguf-mixed-parts` if a number occurs twice or if the
 * pieces are from different files
 */
export function orderPieces<T extends { name: string }>(files: readonly T[]): T[] {
  const pieces = files.map((file) => ({ file, ...parsePieceName(file.name)! })).sort((a, b) => a.piece - b.piece);
  const { whole, count } = pieces[0];
  const foreign = pieces.find((piece) => piece.whole !== whole || piece.count !== count);
  if (foreign) throw mixedPartsError(`${pieces[0].file.name} and ${foreign.file.name} are from different files`);
  const missing: string[] = [];
  for (let n = 1; n <= (count ?? pieces.at(-1)!.piece); n++) {
    const found = pieces.filter(({ piece }) => piece === n);
    if (found.length > 1) throw mixedPartsError(`${found[0].file.name} was given twice`);
    if (found.length === 0) missing.push(pieceName({ whole, piece: n, count }));
  }
  if (missing.length > 0) throw missingPiecesError(missing, 'not given');
  return pieces.map(({ file }) => file);
}

/**
 * The error for pieces that are missing.
 * @param why the end of the sentence "... of which NAME is", e.g. "not given"
 */
export const missingPiecesError = (names: readonly string[], why: string): MixtabError =>
  new MixtabError(
    'gguf-missing-part',
    `The model is cut into several files, of which ${listed(names)} ${why}.`,
    CHOOSE_ALL,
  );

/** Lists at most three names and how many more there are, followed by "is" or "are". */
function listed(names: readonly string[]): string {
  const rest = names.length > 3 ? ` and ${names.length - 3} more` : '';
  return `${names.slice(0, 3).join(', ')}${rest} ${names.length > 1 ? 'are' : 'is'}`;
}

/** What the metadata of a part says about the split. */
export interface SplitInfo {
  /** Number of the part, from 0 as in the metadata. */
  index: number;
  count: number;
  /** Number of tensors in all parts together; -1 if the metadata does not say. */
  tensorCount: number;
}

/**
 * Most parts. Attack: lists of this length are allocated and searched for. The largest real models have a few dozen
 * parts.
 */
const MAX_PARTS = 1000;

/**
 * Reads a part's split metadata. Undefined if the file is a whole model.
 * @throws MixtabError `gguf-damaged`
 */
export function readSplitInfo(metadata: Record<string, unknown>): SplitInfo | undefined {
  const [index, count, tensorCount] = ['no', 'count', 'tensors.count'].map((key) => metadata[`split.${key}`]);
  if (typeof count !== 'number' || count <= 1) return undefined;
  if (!Number.isInteger(count) || count > MAX_PARTS || !Number.isInteger(index) || (index as number) < 0) {
    throw new MixtabError(
      'gguf-damaged',
      `The file is damaged: it claims to be part ${describeValue(index)} of ${count}.`,
      'Download the file again.',
    );
  }
  return { index: index as number, count, tensorCount: typeof tensorCount === 'number' ? tensorCount : -1 };
}

/** A file that may be a part of a split GGUF. */
export interface Part {
  name: string;
  size: Bytes;
  /** Undefined if the file is a whole model. */
  info: SplitInfo | undefined;
}

/**
 * Sorts the parts of a split GGUF by the numbers in their metadata.
 * @throws MixtabError `gguf-missing-part` with the names of the missing parts, `gguf-mixed-parts` if metadata or names
 * show that the parts are from different models
 */
export function orderParts<T extends Part>(parts: readonly T[]): T[] {
  const [first] = parts;
  const count = first.info?.count ?? 1;
  const byNumber: (T | undefined)[] = new Array(count).fill(undefined);
  for (const part of parts) {
    const { name, info } = part;
    if (!info) throw mixedPartsError(`${name} was given with other files, but is not a part of a split model`);
    if (info.count !== count)
      throw mixedPartsError(`${first.name} is one of ${count} parts, but ${name} is one of ${info.count}`);
    if (info.tensorCount !== first.info?.tensorCount)
      throw mixedPartsError(`${first.name} and ${name} state different numbers of tensors`);
    const [a, b] = [parseSplitName(first.name), parseSplitName(name)];
    if (a && b && a.prefix !== b.prefix) throw mixedPartsError(`${first.name} and ${name} have different names`);
    const other = byNumber[info.index];
    if (other) throw mixedPartsError(`${other.name} and ${name} are both part ${info.index + 1}`);
    if (!(info.index < count)) throw mixedPartsError(`${name} is part ${info.index + 1} of ${count}`);
    byNumber[info.index] = part;
  }
  const missing = [...byNumber.keys()].filter((index) => !byNumber[index]);
  if (missing.length > 0) throw missingPartsError(first.name, count, missing);
  return byNumber as T[];
}

/**
 * The error for parts that are missing.
 * @param name of any part
 * @param missing numbers of the missing parts, from 0
 * @param why the end of the sentence "... of which NAME is"
 */
export function missingPartsError(
  name: string,
  count: number,
  missing: readonly number[],
  why = 'not given',
): MixtabError {
  const parsed = parseSplitName(name);
  const names = missing.map((index) => (parsed ? splitName({ ...parsed, part: index + 1 }) : `part ${index + 1}`));
  return new MixtabError(
    'gguf-missing-part',
    `The model is split into ${count} files, of which ${listed(names)} ${why}.`,
    CHOOSE_ALL,
  );
}

/**
 * The error for files that do not belong to one model.
 * @param problem one clause: why the files do not belong together
 */
export const mixedPartsError = (problem: string): MixtabError =>
  new MixtabError(
    'gguf-mixed-parts',
    `The files do not belong together: ${problem}.`,
    'Choose the files of one model only.',
  );
