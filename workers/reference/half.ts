/** Decodes an IEEE 754 binary16 number (f16). */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

const HALF_MAX = 65504;
/** A float64 of this size has no bits below 1, so adding it rounds to whole numbers, ties to even. */
const ROUNDER = 1.5 * 2 ** 52;
const scratch = new DataView(new ArrayBuffer(8));

/**
 * Rounds to the nearest f16, ties to even. Magnitudes beyond the range become the largest finite f16, as in the KV
 * cache.
 */
export function roundToHalf(x: number): number {
  const clamped = Math.min(HALF_MAX, Math.max(-HALF_MAX, x));
  scratch.setFloat64(0, clamped);
  const exponent = ((scratch.getUint16(0) >> 4) & 0x7ff) - 1023;
  // The distance between neighbours: 10 bits below the leading one, and 2^-24 among subnormals.
  const spacing = 2 ** (Math.max(-14, exponent) - 10);
  return (clamped / spacing + ROUNDER - ROUNDER) * spacing;
}

/** Unpacks words that each hold two f16 numbers, the low half first. */
export function unpackHalves(words: ArrayLike<number>): Float64Array {
  const values = new Float64Array(words.length * 2);
  for (let i = 0; i < words.length; i++) {
    values[2 * i] = halfToNumber(words[i] & 0xffff);
    values[2 * i + 1] = halfToNumber(words[i] >>> 16);
  }
  return values;
}
