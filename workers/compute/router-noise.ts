/**
 * The router's noise is a multiple of a random integer: the sum of the eight bytes of a Threefry draw, less its mean. That
 * is close to a normal distribution (Irwin and Hall). The step is rounded to a few bits, so that the product is exact in
 * f32 and both backends add the same number to the bit. A logarithm and a cosine would differ from GPU to GPU.
 */

/** The mean of the sum of eight bytes. */
export const NOISE_MEAN = (8 * 255) / 2;
/** Its standard deviation: eight times the variance of a byte, (256^2 - 1) / 12. */
const NOISE_DEVIATION = Math.sqrt((8 * (256 ** 2 - 1)) / 12);
/** Bits of the step's significand. The integer has 11 with its sign, and the product may have 24. */
const STEP_BITS = 12;

/** @returns the number by which the integer is multiplied, so that the noise has this standard deviation */
export function noiseStep(amount: number): number {
  if (amount === 0) return 0;
  const step = amount / NOISE_DEVIATION;
  const unit = 2 ** (Math.floor(Math.log2(step)) + 1 - STEP_BITS);
  return Math.round(step / unit) * unit;
}
