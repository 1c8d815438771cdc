/** Finds weights that are NaN or infinite in a stored record, whose planes are no longer blocks of a GGUF. */
import type { Bytes } from '../../../src/contract/ids.ts';
import { blocksPerRow, type TensorLayout, WEIGHT_TYPES, type WeightTypeName } from '../weight-layout.ts';
import { findHalf, findLargeByte, findNonFinite, findSpreadHalf, HALF_SCALES, wordsOf } from './finite.ts';

/** Some bytes of a record, which may be spread over several buffers. */
type Piece = Uint8Array<ArrayBuffer>;

/**
 * @param tensors of the record, or of a slice of it
 * @param parts the record's bytes, or the slice's, in order. Each but the last has a multiple of 16 bytes.
 * @returns the first such tensor, and the row in it; undefined if all weights are finite
 */
export function findNonFiniteTensor(
  tensors: readonly TensorLayout[],
  parts: readonly Piece[],
): { name: string; row: number } | undefined {
  for (const layout of tensors) {
    const block = layout.rows > 0 ? findBlock(layout, parts) : undefined;
    if (block !== undefined)
      return { name: layout.name, row: Math.floor(block / blocksPerRow(WEIGHT_TYPES[layout.type], layout.cols)) };
  }
  return undefined;
}

/** Index of the first block with such a weight. */
function findBlock(layout: TensorLayout, parts: readonly Piece[]): number | undefined {
  const { type } = layout;
  switch (type) {
    case 'F32':
    case 'F16':
    case 'BF16':
      return findValue(layout, parts);
    case 'MXFP4': {
      const at = findLargeByte(joined(planeOf(layout, parts, 'e')), 1);
      return at < 0 ? undefined : at;
    }
    case 'IQ1_M': {
      const at = findSpreadHalf(wordsOf(joined(planeOf(layout, parts, 'scales')), Uint16Array), 4);
      return at < 0 ? undefined : at;
    }
    default:
      return findScale(layout, parts, HALF_SCALES[type]);
  }
}

function findScale(layout: TensorLayout, parts: readonly Piece[], offsets: readonly Bytes[]): number | undefined {
  const field = WEIGHT_TYPES[layout.type].planes.find(
    ({ offset, bytes }) => offsets[0] >= offset && offsets[0] < offset + bytes,
  )!;
  const words = wordsOf(joined(planeOf(layout, parts, field.name)), Uint16Array);
  const at = findHalf(
    words,
    field.bytes / 2,
    offsets.map((offset) => offset - field.offset),
  );
  return at < 0 ? undefined : at;
}

function findValue(layout: TensorLayout, parts: readonly Piece[]): number | undefined {
  const { blockBytes, blockWeights } = WEIGHT_TYPES[layout.type];
  let before = 0;
  for (const piece of planeOf(layout, parts, 'values')) {
    const weight = findNonFinite(layout.type as WeightTypeName, piece);
    if (weight !== undefined) return Math.floor(before / blockBytes + weight / blockWeights);
    before += piece.byteLength;
  }
  return undefined;
}

/** The bytes of a plane, without a copy. */
function planeOf(
  { type, rows, cols, offset, planeOffsets }: TensorLayout,
  parts: readonly Piece[],
  name: string,
): Piece[] {
  const { planes } = WEIGHT_TYPES[type];
  const index = planes.findIndex((plane) => plane.name === name);
  const from = offset + planeOffsets[index];
  const to = from + rows * blocksPerRow(WEIGHT_TYPES[type], cols) * planes[index].bytes;
  const pieces: Piece[] = [];
  let start = 0;
  for (const part of parts) {
    const end = start + part.byteLength;
    if (from < end && to > start)
      pieces.push(part.subarray(Math.max(0, from - start), Math.min(part.byteLength, to - start)));
    start = end;
  }
  return pieces;
}

/** One array; a copy only if there are several pieces. Planes of scales are small. */
function joined(pieces: readonly Piece[]): Piece {
  if (pieces.length === 1) return pieces[0];
  const all = new Uint8Array(pieces.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.byteLength;
  }
  return all;
}
