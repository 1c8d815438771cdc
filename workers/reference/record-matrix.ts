/** Reads weights out of stored records, exactly. */
import { dequantize } from '../format/quantization/dequantize.ts';
import { blocksPerRow, type TensorLayout, WEIGHT_TYPES } from '../format/weight-layout.ts';

/**
 * Dequantizes a matrix of a record: its planes are put together to ggml's blocks again.
 * @param record all bytes of the record
 * @returns f32[rows, cols], the exact weights
 */
export function recordMatrix(record: Uint8Array, layout: TensorLayout): Float32Array {
  const { rows, cols, type: name, offset, planeOffsets } = layout;
  const type = WEIGHT_TYPES[name];
  const blocks = new Uint8Array(rows * blocksPerRow(type, cols) * type.blockBytes);
  for (const [plane, { offset: field, bytes }] of type.planes.entries()) {
    let from = offset + planeOffsets[plane];
    for (let to = field; to < blocks.length; to += type.blockBytes, from += bytes) {
      for (let i = 0; i < bytes; i++) blocks[to + i] = record[from + i];
    }
  }
  return withoutPadding(dequantize(name, blocks), rows, cols);
}

/** In a plain type, each row is padded to whole blocks. */
function withoutPadding(padded: Float32Array, rows: number, cols: number): Float32Array {
  const stride = padded.length / rows;
  if (stride === cols) return padded;
  const out = new Float32Array(rows * cols);
  for (let row = 0; row < rows; row++) out.set(padded.subarray(row * stride, row * stride + cols), row * cols);
  return out;
}
