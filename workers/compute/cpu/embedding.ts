/** Looks up rows of the embedding, which stays in the layout of its record. */
import { recordRows } from '../../format/quantization/record-rows.ts';
import type { TensorLayout } from '../../format/weight-layout.ts';

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
      if (row < part.layout.rows) return recordRows(part.record, part.layout, row, 1);
      row -= part.layout.rows;
    }
    throw new RangeError(`no row ${token} in the embedding`);
  }
}
