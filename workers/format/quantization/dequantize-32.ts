/** Dequantization of the types with blocks of 32 weights: plain numbers, Q4_0 .. Q8_0, IQ4_NL and MXFP4. */
import { type BlockDecoder, bfloatToNumber, fround, half, IQ4_VALUES } from './dequantize-parts.ts';

const plain =
  (read: (view: DataView, at: number) => number, bytes: number): BlockDecoder =>
  (view, at, out, to) => {
    for (let i = 0; i < 32; i++) out[to + i] = read(view, at + i * bytes);
  };

export const decodeF32 = plain((view, at) => view.getFloat32(at, true), 4);
export const decodeF16 = plain(half, 2);
export const decodeBF16 = plain((view, at) => bfloatToNumber(view.getUint16(at, true)), 2);

/** w = d * q, q a signed byte. */
export const decodeQ8_0: BlockDecoder = (view, at, out, to) => {
  const d = half(view, at);
  for (let i = 0; i < 32; i++) out[to + i] = fround(view.getInt8(at + 2 + i) * d);
};

/**
 * A type with 16 bytes of 4-bit quants at `quants`: byte i has weight i in its low nibble and weight i + 16 in its high
 * one.
 * @param weight reads the block's scales and returns the function from a nibble and its index to a weight
 */
const nibbles =
  (quants: number, weight: (view: DataView, at: number) => (nibble: number, i: number) => number): BlockDecoder =>
  (view, at, out, to) => {
    const decode = weight(view, at);
    for (let i = 0; i < 16; i++) {
      const byte = view.getUint8(at + quants + i);
      out[to + i] = decode(byte & 15, i);
      out[to + i + 16] = decode(byte >> 4, i + 16);
    }
  };

/** w = d * (q - 8). */
export const decodeQ4_0 = nibbles(2, (view, at) => {
  const d = half(view, at);
  return (q) => fround((q - 8) * d);
});

/** w = d * q + m. */
export const decodeQ4_1 = nibbles(4, (view, at) => {
  const d = half(view, at);
  const m = half(view, at + 2);
  return (q) => fround(fround(q * d) + m);
});

/** w = d * (q - 16). */
export const decodeQ5_0 = nibbles(6, (view, at) => {
  const d = half(view, at);
  const high = view.getUint32(at + 2, true);
  return (q, i) => fround((q + ((high >>> i) & 1) * 16 - 16) * d);
});

/** w = d * q + m. */
export const decodeQ5_1 = nibbles(8, (view, at) => {
  const d = half(view, at);
  const m = half(view, at + 2);
  const high = view.getUint32(at + 4, true);
  return (q, i) => fround(fround((q + ((high >>> i) & 1) * 16) * d) + m);
});

/** w = d * IQ4_VALUES[q]. */
export const decodeIQ4_NL = nibbles(2, (view, at) => {
  const d = half(view, at);
  return (q) => fround(d * IQ4_VALUES[q]);
});

/** The E2M1 numbers times two. The scale is halved to make up for it. */
const MXFP4_VALUES = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/** w = 2^(e - 128) * MXFP4_VALUES[q]. */
export const decodeMXFP4 = nibbles(1, (view, at) => {
  const d = 2 ** (view.getUint8(at) - 128);
  return (q) => fround(MXFP4_VALUES[q] * d);
});
