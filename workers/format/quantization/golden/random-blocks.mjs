/**
 * The random blocks behind random-blocks.json, shared by the script that writes the file and the test that reads it.
 */

/**
 * Random bytes with a fixed seed: the top byte of each word of xorshift32.
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
 * Replaces infinities and NaNs by 0, because the bits of a NaN are not defined. They come from random scales; files
 * have none.
 * @param {Float32Array} weights
 */
export function zeroUnlessFinite(weights) {
  for (let i = 0; i < weights.length; i++) if (!Number.isFinite(weights[i])) weights[i] = 0;
}
