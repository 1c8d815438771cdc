/** What the dequantizers of all types share. */

/** Dequantizes the block at byte `at` of `view` into `out[to..]`. */
export type BlockDecoder = (view: DataView, at: number, out: Float32Array, to: number) => void;

/** Rounds to f32, as ggml does after every operation. */
export const { fround } = Math;
const scratch = new DataView(new ArrayBuffer(4));

/** The number that 16 bits stand for as f16 (IEEE 754 half precision). */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

/** The number that 16 bits stand for as BF16, the upper half of an f32. */
export function bfloatToNumber(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}

/** The f16 at byte `at`. */
export const half = (view: DataView, at: number): number => halfToNumber(view.getUint16(at, true));

/** The values of the 4-bit quants of IQ4_NL and IQ4_XS. */
export const IQ4_VALUES = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
