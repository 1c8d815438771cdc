/** The random blocks of random-blocks.json: what the golden file's maker and the test that reads it must have alike. */

/**
 * Seeded random bytes (xorshift32, the top byte of each word).
 * @param {number} length
 */
export function randomBytes(length) {
  const bytes = new Uint8Array(length);
  let state = 0x2545f491;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/**
 * Infinities and NaNs (random scales have them, files have not) become 0: their bits are not defined.
 * @param {Float32Array} weights
 */
export function zeroUnlessFinite(weights) {
  for (let i = 0; i < weights.length; i++) if (!Number.isFinite(weights[i])) weights[i] = 0;
}
