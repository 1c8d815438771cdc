/** Dequantization of the K types: blocks of 256 weights, with a scale per run of 32 or 16 weights. */
import { type BlockDecoder, fround, half } from './dequantize-parts.ts';

/**
 * The 2-bit quants of Q2_K and Q3_K. Each half of the block (128 weights) has 32 bytes, and run r of 32 weights is in
 * the bits 2r and 2r + 1 of those bytes.
 * @returns the quant of weight i of run j of the block
 */
const twoBits = (view: DataView, quants: number, j: number, i: number): number =>
  (view.getUint8(quants + (j >> 2) * 32 + i) >> ((j & 3) * 2)) & 3;

/** w = d * scale * q - dmin * min, with a 4-bit scale and a 4-bit min per 16 weights. */
export const decodeQ2_K: BlockDecoder = (view, at, out, to) => {
  const d = half(view, at + 80);
  const dmin = half(view, at + 82);
  for (let j = 0; j < 8; j++) {
    for (let i = 0; i < 32; i++) {
      const scale = view.getUint8(at + j * 2 + (i >> 4));
      const factor = fround(d * (scale & 15));
      const offset = fround(dmin * (scale >> 4));
      out[to + j * 32 + i] = fround(fround(factor * twoBits(view, at + 16, j, i)) - offset);
    }
  }
};

/**
 * Scale n of 16, as a signed number. 12 bytes hold them: 4 low bits in the first eight, 2 high bits in the last four.
 */
function scaleK3(view: DataView, at: number, n: number): number {
  const low = (view.getUint8(at + (n & 7)) >> ((n >> 3) * 4)) & 15;
  const high = (view.getUint8(at + 8 + (n & 3)) >> ((n >> 2) * 2)) & 3;
  return (low | (high << 4)) - 32;
}

/** w = d * scale * (q - 4), with a 6-bit scale per 16 weights. */
export const decodeQ3_K: BlockDecoder = (view, at, out, to) => {
  const d = half(view, at + 108);
  for (let j = 0; j < 8; j++) {
    for (let i = 0; i < 32; i++) {
      const factor = fround(d * scaleK3(view, at + 96, j * 2 + (i >> 4)));
      const high = (view.getUint8(at + i) >> j) & 1;
      out[to + j * 32 + i] = fround(factor * (twoBits(view, at + 32, j, i) + high * 4 - 4));
    }
  }
};

/** The 6-bit scale and min of run j of 32 weights. 12 bytes hold those of all 8 runs. */
function scaleMinK4(view: DataView, at: number, j: number): [scale: number, min: number] {
  const byte = (i: number) => view.getUint8(at + i);
  if (j < 4) return [byte(j) & 63, byte(j + 4) & 63];
  return [(byte(j + 4) & 15) | ((byte(j - 4) >> 6) << 4), (byte(j + 4) >> 4) | ((byte(j) >> 6) << 4)];
}

/** Q4_K; and Q5_K, whose fifth bit is bit j of the 32 bytes at `high`. */
const fourBits =
  (quants: number, high?: number): BlockDecoder =>
  (view, at, out, to) => {
    const d = half(view, at);
    const dmin = half(view, at + 2);
    for (let j = 0; j < 8; j++) {
      const [scale, min] = scaleMinK4(view, at + 4, j);
      const factor = fround(d * scale);
      const offset = fround(dmin * min);
      for (let i = 0; i < 32; i++) {
        const low = (view.getUint8(at + quants + (j >> 1) * 32 + i) >> ((j & 1) * 4)) & 15;
        const q = high === undefined ? low : low + ((view.getUint8(at + high + i) >> j) & 1) * 16;
        out[to + j * 32 + i] = fround(fround(factor * q) - offset);
      }
    }
  };

/** w = d * scale * q - dmin * min, with a 6-bit scale and a 6-bit min per 32 weights; q has 4 bits. */
export const decodeQ4_K = fourBits(16);
/** w = d * scale * q - dmin * min, with a 6-bit scale and a 6-bit min per 32 weights; q has 5 bits. */
export const decodeQ5_K = fourBits(48, 16);

/** w = d * scale * (q - 32), with an 8-bit scale per 16 weights. */
export const decodeQ6_K: BlockDecoder = (view, at, out, to) => {
  const d = half(view, at + 208);
  for (let n = 0; n < 2; n++) {
    const ql = at + n * 64;
    const qh = at + 128 + n * 32;
    const scales = at + 192 + n * 8;
    for (let r = 0; r < 4; r++) {
      for (let i = 0; i < 32; i++) {
        const low = (view.getUint8(ql + (r & 1) * 32 + i) >> ((r >> 1) * 4)) & 15;
        const high = (view.getUint8(qh + i) >> (r * 2)) & 3;
        const scale = view.getInt8(scales + r * 2 + (i >> 4));
        out[to + n * 128 + r * 32 + i] = fround(fround(d * scale) * ((low | (high << 4)) - 32));
      }
    }
  }
};
