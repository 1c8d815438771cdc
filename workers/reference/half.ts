/** Decodes an IEEE 754 binary16 number (f16). */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
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
