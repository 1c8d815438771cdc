/**
 * The grids of ggml's IQ types. A quant is an index into its type's grid; an entry is a group of 8 or 4 numbers. The
 * data was read out of ggml's own library (golden/make-grids.mjs).
 */
import { IQ_GRIDS } from './iq-grid-data.ts';

interface IqGrid {
  /** Numbers per entry. */
  width: 4 | 8;
  /** The numbers that occur in the grid, ascending. */
  levels: readonly number[];
  /**
   * Four hex digits per entry: its numbers as indices into `levels`, 16 / width bits each, the first in the lowest
   * bits.
   */
  codes: string;
}

export type IqGridName = keyof typeof IQ_GRIDS;

/** All numbers of a grid, entry after entry. Each entry has `width` numbers. */
export function expandGrid(name: IqGridName): Int8Array<ArrayBuffer> {
  const { width, levels, codes }: IqGrid = IQ_GRIDS[name];
  const bits = 16 / width;
  const numbers = new Int8Array((codes.length / 4) * width);
  for (let entry = 0; entry * 4 < codes.length; entry++) {
    const code = Number.parseInt(codes.slice(entry * 4, entry * 4 + 4), 16);
    for (let i = 0; i < width; i++) numbers[entry * width + i] = levels[(code >> (i * bits)) & (2 ** bits - 1)];
  }
  return numbers;
}
