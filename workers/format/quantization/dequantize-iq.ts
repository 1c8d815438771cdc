/**
 * Dequantization of the IQ types with blocks of 256 weights. A quant is an index into a grid, whose entries are groups
 * of 8 or 4 numbers. The grids of IQ2 and IQ3 hold magnitudes; one bit per weight is its sign.
 */

import { type BlockDecoder, fround, half, halfToNumber, IQ4_VALUES } from './dequantize-parts.ts';
import { expandGrid } from './iq-grids.ts';

const GRIDS = {
  IQ1: expandGrid('IQ1'),
  IQ2_XXS: expandGrid('IQ2_XXS'),
  IQ2_XS: expandGrid('IQ2_XS'),
  IQ2_S: expandGrid('IQ2_S'),
  IQ3_XXS: expandGrid('IQ3_XXS'),
  IQ3_S: expandGrid('IQ3_S'),
};

/** The signs of eight weights. Seven are stored; the eighth makes the number of minus signs even. */
function evenSigns(seven: number): number {
  let parity = seven;
  parity ^= parity >> 4;
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  return seven | ((parity & 1) << 7);
}

/** Writes `out[to + i] = ±factor * grid[entry][i]`, negative if bit i of `signs` is set. */
function writeSigned(
  out: Float32Array,
  to: number,
  factor: number,
  grid: Int8Array,
  width: number,
  entry: number,
  signs: number,
): void {
  for (let i = 0; i < width; i++) {
    const value = fround(factor * grid[entry * width + i]);
    out[to + i] = (signs >> i) & 1 ? -value : value;
  }
}

/** The n-th 4-bit number of the bytes at `at`. */
const nibble = (view: DataView, at: number, n: number): number => (view.getUint8(at + (n >> 1)) >> ((n & 1) * 4)) & 15;

/** w = ±d * (scale + 1/2) / 4 * grid, with a 4-bit scale per 32 weights. */
export const decodeIQ2_XXS: BlockDecoder = (view, at, out, to) => {
  const d = half(view, at);
  for (let j = 0; j < 8; j++) {
    const quants = at + 2 + j * 8;
    const packed = view.getUint32(quants + 4, true);
    const factor = fround(fround(d * (0.5 + (packed >>> 28))) * 0.25);
    for (let l = 0; l < 4; l++) {
      const signs = evenSigns((packed >>> (7 * l)) & 127);
      writeSigned(out, to + j * 32 + l * 8, factor, GRIDS.IQ2_XXS, 8, view.getUint8(quants + l), signs);
    }
  }
};

/** w = ±d * (scale + 1/2) / 4 * grid, with a 4-bit scale per 16 weights. */
export const decodeIQ2_XS: BlockDecoder = (view, at, out, to) => {
  const d = half(view, at);
  for (let l = 0; l < 32; l++) {
    const quant = view.getUint16(at + 2 + l * 2, true);
    const factor = fround(fround(d * (0.5 + nibble(view, at + 66, l >> 1))) * 0.25);
    writeSigned(out, to + l * 8, factor, GRIDS.IQ2_XS, 8, quant & 511, evenSigns(quant >> 9));
  }
};

/** w = ±d * (scale + 1/2) / 4 * grid, with a 4-bit scale per 16 weights. All eight signs of a group are stored. */
export const decodeIQ2_S: BlockDecoder = (view, at, out, to) => {
  const d = half(view, at);
  for (let l = 0; l < 32; l++) {
    const high = (view.getUint8(at + 66 + (l >> 2)) >> ((l & 3) * 2)) & 3;
    const factor = fround(fround(d * (0.5 + nibble(view, at + 74, l >> 1))) * 0.25);
    const entry = view.getUint8(at + 2 + l) | (high << 8);
    writeSigned(out, to + l * 8, factor, GRIDS.IQ2_S, 8, entry, view.getUint8(at + 34 + l));
  }
};

/** w = ±d * (scale + 1/2) / 2 * grid, with a 4-bit scale per 32 weights. */
export const decodeIQ3_XXS: BlockDecoder = (view, at, out, to) => {
  const d = half(view, at);
  for (let j = 0; j < 8; j++) {
    const packed = view.getUint32(at + 66 + j * 4, true);
    const factor = fround(fround(d * (0.5 + (packed >>> 28))) * 0.5);
    for (let l = 0; l < 8; l++) {
      const signs = evenSigns((packed >>> (7 * (l >> 1))) & 127) >> ((l & 1) * 4);
      writeSigned(out, to + j * 32 + l * 4, factor, GRIDS.IQ3_XXS, 4, view.getUint8(at + 2 + j * 8 + l), signs);
    }
  }
};

/** w = ±d * (2 * scale + 1) * grid, with a 4-bit scale per 32 weights. All signs are stored. */
export const decodeIQ3_S: BlockDecoder = (view, at, out, to) => {
  const d = half(view, at);
  for (let l = 0; l < 64; l++) {
    const high = (view.getUint8(at + 66 + (l >> 3)) >> (l & 7)) & 1;
    const factor = fround(d * (1 + 2 * nibble(view, at + 106, l >> 3)));
    const signs = nibble(view, at + 74, l);
    writeSigned(out, to + l * 4, factor, GRIDS.IQ3_S, 4, view.getUint8(at + 2 + l) | (high << 8), signs);
  }
};

/** Writes `out[to + i] = factor * (grid[entry][i] + shift)`. IQ1's grid holds -1, 0 and 1; the shift is ±1/8. */
function writeShifted(out: Float32Array, to: number, factor: number, entry: number, shift: number): void {
  for (let i = 0; i < 8; i++) out[to + i] = fround(factor * (GRIDS.IQ1[entry * 8 + i] + shift));
}

/** w = d * (2 * scale + 1) * (grid ± 1/8), with a 3-bit scale and a sign of 1/8 per 32 weights. */
export const decodeIQ1_S: BlockDecoder = (view, at, out, to) => {
  const d = half(view, at);
  for (let l = 0; l < 32; l++) {
    const qh = view.getUint16(at + 34 + (l >> 2) * 2, true);
    const entry = view.getUint8(at + 2 + l) | (((qh >> ((l & 3) * 3)) & 7) << 8);
    const factor = fround(d * (2 * ((qh >> 12) & 7) + 1));
    writeShifted(out, to + l * 8, factor, entry, qh & 0x8000 ? -0.125 : 0.125);
  }
};

/** w = d * (2 * scale + 1) * (grid ± 1/8), with a 3-bit scale per 16 weights and a sign of 1/8 per 8. */
export const decodeIQ1_M: BlockDecoder = (view, at, out, to) => {
  const scales = [0, 1, 2, 3].map((n) => view.getUint16(at + 48 + n * 2, true));
  // The block's f16 scale is in the top four bits of each of the four words.
  const d = halfToNumber(scales.reduce((bits, word, n) => bits | ((word >> 12) << (n * 4)), 0));
  for (let l = 0; l < 32; l++) {
    const high = nibble(view, at + 32, l);
    const entry = view.getUint8(at + l) | ((high & 7) << 8);
    const factor = fround(d * (2 * ((scales[l >> 3] >> (((l >> 1) & 3) * 3)) & 7) + 1));
    writeShifted(out, to + l * 8, factor, entry, high & 8 ? -0.125 : 0.125);
  }
};

/** w = d * (scale - 32) * IQ4_VALUES[q], with a 6-bit scale per 32 weights. */
export const decodeIQ4_XS: BlockDecoder = (view, at, out, to) => {
  const d = half(view, at);
  const high = view.getUint16(at + 2, true);
  for (let j = 0; j < 8; j++) {
    const scale = (nibble(view, at + 4, j) | (((high >> (j * 2)) & 3) << 4)) - 32;
    const factor = fround(d * scale);
    for (let i = 0; i < 32; i++) {
      const byte = view.getUint8(at + 8 + j * 16 + (i & 15));
      out[to + j * 32 + i] = fround(factor * IQ4_VALUES[i < 16 ? byte & 15 : byte >> 4]);
    }
  }
};
