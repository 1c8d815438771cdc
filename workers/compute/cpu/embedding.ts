/** Looks up rows of the embedding, which stays in the layout of its record. */
import { dequantize } from '../../format/quantization/dequantize.ts';
import { blocksPerRow, type TensorLayout, WEIGHT_TYPES } from '../../format/weight-layout.ts';

/** Some rows of the vocabulary's embedding. */
interface Part {
  layout: TensorLayout;
  /** The record that has the tensor. */
  record: Uint8Array;
}

/** The embedding of a vocabulary, possibly in several parts. */
export class Embedding {
  readonly #parts: Part[] = [];

  /** Adds the rows that follow those that were added before. */
  add(layout: TensorLayout, record: Uint8Array): void {
    this.#parts.push({ layout, record });
  }

  /**
   * @returns f32[columns]
   * @throws RangeError if the vocabulary has no such token
   */
  row(token: number): Float32Array<ArrayBuffer> {
    let row = token;
    for (const part of this.#parts) {
      if (row < part.layout.rows) return rowOf(part, row);
      row -= part.layout.rows;
    }
    throw new RangeError(`no row ${token} in the embedding`);
  }
}

/** Puts the fields of a row's blocks together again, as ggml has them, and dequantizes them. */
function rowOf({ layout, record }: Part, row: number): Float32Array<ArrayBuffer> {
  const type = WEIGHT_TYPES[layout.type];
  const blocks = blocksPerRow(type, layout.cols);
  const bytes = new Uint8Array(blocks * type.blockBytes);
  for (const [plane, field] of type.planes.entries()) {
    const start = layout.offset + layout.planeOffsets[plane] + row * blocks * field.bytes;
    for (let block = 0; block < blocks; block++) {
      const from = start + block * field.bytes;
      bytes.set(record.subarray(from, from + field.bytes), block * type.blockBytes + field.offset);
    }
  }
  return dequantize(layout.type, bytes).slice(0, layout.cols);
}
