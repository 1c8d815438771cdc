/**
 * Split GGUFs: `NAME-00001-of-00005.gguf` and so on, each a GGUF of its own with some of the tensors; the first has
 * the model's metadata. Names and the checks that parts belong together; pure.
 */
import { MixtabError } from '../../../src/contract/errors.ts';
import type { Bytes } from '../../../src/contract/ids.ts';

const CHOOSE_ALL = 'Choose or drop all its parts together, or give the address of one beside which the others lie.';
const SPLIT_NAME = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/i;

export interface SplitName {
  /** What all parts' names begin with. */
  prefix: string;
  /** 1 .. count, as names count. */
  part: number;
  count: number;
}

/** What a file's name tells; undefined where it is not named like a part. */
export function parseSplitName(name: string): SplitName | undefined {
  const match = SPLIT_NAME.exec(name);
  return match ? { prefix: match[1], part: Number(match[2]), count: Number(match[3]) } : undefined;
}

export const splitName = ({ prefix, part, count }: SplitName): string =>
  `${prefix}-${String(part).padStart(5, '0')}-of-${String(count).padStart(5, '0')}.gguf`;

/** The same address with another file name. */
export function besideUrl(url: string, name: string): string {
  const parsed = new URL(url);
  parsed.pathname = parsed.pathname.slice(0, parsed.pathname.lastIndexOf('/') + 1) + encodeURIComponent(name);
  return parsed.href;
}

/**
 * A file that was cut anywhere, because the place it lies limits sizes: `NAME.gguf.part1of3`, or `NAME.gguf-split-a`,
 * `-split-b` ... Its pieces are no GGUFs but for the first; strung together they are one.
 */
export interface PieceName {
  /** The whole file's. */
  whole: string;
  /** From 1. */
  piece: number;
  /** Undefined where the name does not tell. */
  count: number | undefined;
}

export function parsePieceName(name: string): PieceName | undefined {
  const numbered = /^(.*\.gguf)\.part(\d{1,3})of(\d{1,3})$/i.exec(name);
  if (numbered) return { whole: numbered[1], piece: Number(numbered[2]), count: Number(numbered[3]) };
  const lettered = /^(.*\.gguf)-split-([a-z])$/i.exec(name);
  return lettered
    ? { whole: lettered[1], piece: lettered[2].toLowerCase().charCodeAt(0) - 96, count: undefined }
    : undefined;
}

export const pieceName = ({ whole, piece, count }: PieceName): string =>
  count === undefined ? `${whole}-split-${String.fromCharCode(96 + piece)}` : `${whole}.part${piece}of${count}`;

/**
 * Puts pieces into order.
 * @throws MixtabError `gguf-missing-part`, `gguf-mixed-parts`
 */
export function orderPieces<T extends { name: string }>(files: readonly T[]): T[] {
  const pieces = files.map((file) => ({ file, ...parsePieceName(file.name)! })).sort((a, b) => a.piece - b.piece);
  const { whole, count } = pieces[0];
  const foreign = pieces.find((piece) => piece.whole !== whole || piece.count !== count);
  if (foreign) throw mixedPartsError(`${pieces[0].file.name} and ${foreign.file.name} are of different files`);
  const missing: string[] = [];
  for (let n = 1; n <= (count ?? pieces.at(-1)!.piece); n++) {
    const found = pieces.filter(({ piece }) => piece === n);
    if (found.length > 1) throw mixedPartsError(`${found[0].file.name} is there twice`);
    if (found.length === 0) missing.push(pieceName({ whole, piece: n, count }));
  }
  if (missing.length > 0) throw missingPiecesError(missing, 'not given');
  return pieces.map(({ file }) => file);
}

export const missingPiecesError = (names: readonly string[], why: string): MixtabError =>
  new MixtabError(
    'gguf-missing-part',
    `The model is cut into several files, of which ${listed(names)} ${why}.`,
    CHOOSE_ALL,
  );

/** The first few, and how many more; with its verb. */
function listed(names: readonly string[]): string {
  const rest = names.length > 3 ? ` and ${names.length - 3} more` : '';
  return `${names.slice(0, 3).join(', ')}${rest} ${names.length > 1 ? 'are' : 'is'}`;
}

/** What a part says of itself. */
export interface SplitInfo {
  /** 0 .. count-1, as files count. */
  index: number;
  count: number;
  /** Tensors in all parts. */
  tensorCount: number;
}

/** The largest real models have some dozens of parts. */
const MAX_PARTS = 1000;

/**
 * Undefined where the file is whole.
 * @throws MixtabError `gguf-damaged`
 */
export function readSplitInfo(metadata: Record<string, unknown>): SplitInfo | undefined {
  const [no, count, tensors] = ['no', 'count', 'tensors.count'].map((key) => metadata[`split.${key}`]);
  if (typeof count !== 'number' || count <= 1) return undefined;
  if (!Number.isInteger(count) || count > MAX_PARTS || !Number.isInteger(no) || (no as number) < 0) {
    throw new MixtabError(
      'gguf-damaged',
      `The file says it is part ${String(no)} of ${count}.`,
      'Download the file again.',
    );
  }
  return { index: no as number, count, tensorCount: typeof tensors === 'number' ? tensors : -1 };
}

export interface Part {
  name: string;
  size: Bytes;
  info: SplitInfo | undefined;
}

/**
 * Puts parts into order.
 * @throws MixtabError `gguf-missing-part` naming what is missing, `gguf-mixed-parts` where they are of different models
 */
export function orderParts<T extends Part>(parts: readonly T[]): T[] {
  const [first] = parts;
  const count = first.info?.count ?? 1;
  const byNumber: (T | undefined)[] = new Array(count).fill(undefined);
  for (const part of parts) {
    const { name, info } = part;
    if (!info) throw mixedPartsError(`${name} is no part of a split model, though it was given with others`);
    if (info.count !== count)
      throw mixedPartsError(`${first.name} is one of ${count} parts, ${name} one of ${info.count}`);
    if (info.tensorCount !== first.info?.tensorCount)
      throw mixedPartsError(`${first.name} and ${name} count their tensors differently`);
    const [a, b] = [parseSplitName(first.name), parseSplitName(name)];
    if (a && b && a.prefix !== b.prefix) throw mixedPartsError(`${first.name} and ${name} have different names`);
    const other = byNumber[info.index];
    if (other) throw mixedPartsError(`${other.name} and ${name} are both part ${info.index + 1}`);
    if (!(info.index < count)) throw mixedPartsError(`${name} is part ${info.index + 1} of ${count}`);
    byNumber[info.index] = part;
  }
  const missing = [...byNumber.keys()].filter((no) => !byNumber[no]);
  if (missing.length > 0) throw missingPartsError(first.name, count, missing);
  return byNumber as T[];
}

/** @param missing numbers from 0 */
export function missingPartsError(
  name: string,
  count: number,
  missing: readonly number[],
  why = 'not given',
): MixtabError {
  const parsed = parseSplitName(name);
  const names = missing.map((no) => (parsed ? splitName({ ...parsed, part: no + 1 }) : `part ${no + 1}`));
  return new MixtabError(
    'gguf-missing-part',
    `The model is split into ${count} files, of which ${listed(names)} ${why}.`,
    CHOOSE_ALL,
  );
}

export const mixedPartsError = (how: string): MixtabError =>
  new MixtabError(
    'gguf-mixed-parts',
    `The files do not belong together: ${how}.`,
    'Choose the parts of one model only.',
  );
