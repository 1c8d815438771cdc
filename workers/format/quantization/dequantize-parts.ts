/** What the dequantizers of all types share. */

/** Dequantizes one block at `at` into `out[to..]`. */
export type BlockDecoder = (view: DataView, at: number, out: Float32Array, to: number) => void;

export const { fround } = Math;
const scratch = new DataView(new ArrayBuffer(4));

/** f16 bits to a number. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

export function bfloatToNumber(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}

/** The f16 at `at`. */
export const half = (view: DataView, at: number): number => halfToNumber(view.getUint16(at, true));

/** What the nibbles of IQ4_NL and IQ4_XS stand for. */
export const IQ4_VALUES = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
