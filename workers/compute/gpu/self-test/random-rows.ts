/** Random weights for the last rows of a matrix, in the layout of the whole matrix. */
import { dequantize } from '../../../format/quantization/dequantize.ts';
import { ggufBytes, repackTensor } from '../../../format/quantization/repack.ts';
import { blocksPerRow, layoutTensor, type TensorLayout, WEIGHT_TYPES } from '../../../format/weight-layout.ts';
import { hashName, writeBlock } from '../../../synth/random-blocks.ts';

/** How many rows are known: more than a workgroup of most variants computes. */
const KNOWN_ROWS = 32;

/** A piece of a matrix in its record. */
export interface Piece {
  /** Relative to the start of the matrix; a multiple of 4. */
  offset: number;
  /** A multiple of 4 bytes. */
  bytes: Uint8Array<ArrayBuffer>;
}

/** The last rows of a matrix, with random weights. */
export interface KnownRows {
  /** The first of these rows. */
  first: number;
  count: number;
  /** f32[count, cols] */
  weights: Float32Array;
  /** What to write into the record. */
  pieces: readonly Piece[];
}

/**
 * The kernels compute each row in the same way, so not all rows of a large matrix need to be written and compared. The
 * last rows have the largest offsets, and they may not fill a workgroup.
 * @param seed another one for each matrix
 */
export function randomLastRows(layout: TensorLayout, seed: number): KnownRows {
  const type = WEIGHT_TYPES[layout.type];
  // An even row, so that planes with two bytes per row start at a multiple of 4.
  const first = Math.max(0, layout.rows - KNOWN_ROWS) & ~1;
  const count = layout.rows - first;
  const part = layoutTensor('self-test', type, count, layout.cols, 0);
  const { source, packed } = randomMatrix(part, seed);
  const blocks = blocksPerRow(type, layout.cols);
  const pieces = type.planes.map(({ bytes }, plane) => {
    const start = part.planeOffsets[plane];
    const length = Math.ceil((count * blocks * bytes) / 4) * 4; // planes are padded to more than that
    return {
      offset: layout.planeOffsets[plane] + first * blocks * bytes,
      bytes: packed.slice(start, start + length),
    };
  });
  return { first, count, weights: dequantize(layout.type, source), pieces };
}

/**
 * Random weights of a matrix.
 * @param layout of a matrix at offset 0
 * @returns its bytes as in a GGUF, and as in a record
 */
export function randomMatrix(layout: TensorLayout, seed: number): { source: Uint8Array; packed: Uint8Array } {
  const type = WEIGHT_TYPES[layout.type];
  const source = new Uint8Array(ggufBytes(type, layout.rows, layout.cols));
  // A plain type has no blocks, so the last one may be cut off.
  const blocks = new Uint8Array(Math.ceil(source.byteLength / type.blockBytes) * type.blockBytes);
  const recipe = { type: layout.type, seed: hashName('self-test', seed), deviation: 1 / Math.sqrt(layout.cols) };
  for (let at = 0, n = 0; at < blocks.byteLength; at += type.blockBytes) writeBlock(recipe, n++, blocks, at);
  source.set(blocks.subarray(0, source.byteLength));
  const packed = new Uint8Array(layout.bytes);
  repackTensor(source, layout, packed);
  return { source, packed };
}
