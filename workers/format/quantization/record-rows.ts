/** Reads weights out of stored records, exactly. */
import { blocksPerRow, type TensorLayout, WEIGHT_TYPES } from '../weight-layout.ts';
import { dequantize } from './dequantize.ts';

/**
 * Dequantizes neighbouring rows of a matrix: their planes are put together to ggml's blocks again.
 * @param record all bytes of the record
 * @param first index of the first row
 * @returns f32[count, cols], the exact weights
 */
export function recordRows(
  record: Uint8Array,
  layout: TensorLayout,
  first: number,
  count: number,
): Float32Array<ArrayBuffer> {
  const { cols, type: name, offset, planeOffsets } = layout;
  const type = WEIGHT_TYPES[name];
  const rowBlocks = blocksPerRow(type, cols);
  const blocks = new Uint8Array(count * rowBlocks * type.blockBytes);
  for (const [plane, { offset: field, bytes }] of type.planes.entries()) {
    let from = offset + planeOffsets[plane] + first * rowBlocks * bytes;
    for (let to = field; to < blocks.length; to += type.blockBytes, from += bytes) {
      for (let i = 0; i < bytes; i++) blocks[to + i] = record[from + i];
    }
  }
  return withoutPadding(dequantize(name, blocks), count, cols);
}

/** All rows of a matrix: see {@link recordRows}. */
export const recordMatrix = (record: Uint8Array, layout: TensorLayout): Float32Array<ArrayBuffer> =>
  recordRows(record, layout, 0, layout.rows);

/** In a plain type, each row is padded to whole blocks. */
function withoutPadding(padded: Float32Array<ArrayBuffer>, rows: number, cols: number): Float32Array<ArrayBuffer> {
  const stride = padded.length / rows;
  if (stride === cols) return padded;
  const out = new Float32Array(rows * cols);
  for (let row = 0; row < rows; row++) out.set(padded.subarray(row * stride, row * stride + cols), row * cols);
  return out;
}
