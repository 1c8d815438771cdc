/**
 * How far the result of a kernel may be from the float64 reference. There is one table for all kernels. If a kernel
 * fails, fix the kernel; a change of the table needs a reason, which is written here.
 */

export interface Tolerance {
  /**
   * Allowed error relative to the largest magnitude in the reference, because f32 sums lose bits relative to their
   * terms.
   */
  relative: number;
  /** Allowed error in addition, for results near zero. */
  absolute: number;
}

/** f32 has 24 bits: one rounding is 6e-8, and a sum of n terms in any order has an error of about sqrt(n) roundings. */
export const TOLERANCE = {
  /** A few roundings per value. */
  elementwise: { relative: 1e-6, absolute: 1e-7 },
  /** Sums of up to some ten thousand products. */
  reduction: { relative: 2e-5, absolute: 1e-6 },
  /** exp and log: WGSL allows 3 + 2|x| units in the last place for exp. */
  softmax: { relative: 2e-5, absolute: 2e-6 },
  /** Values stored as f16 (11 bits). */
  half: { relative: 6e-4, absolute: 1e-7 },
} as const satisfies Record<string, Tolerance>;

/**
 * The allowed error of dot products, relative to the sum of the magnitudes of their terms (`worstError` in matmul.ts).
 * Each f32 addition rounds by 2^-24 of the running sum, and the errors of some hundred terms add up like a random walk.
 */
export const DOT_TOLERANCE = 24 * 2 ** -24;

/** The largest deviation that exceeds a tolerance. */
export interface Deviation {
  index: number;
  actual: number;
  expected: number;
  error: number;
  allowed: number;
}

/**
 * Compares two arrays. Returns null if all values are within the tolerance, else the worst deviation. NaN is never
 * within it.
 */
export function compare(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { relative, absolute }: Tolerance,
): Deviation | null {
  if (actual.length !== expected.length) throw new RangeError(`${actual.length} values, expected ${expected.length}`);
  let largest = 0;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(expected[i]));
  const allowed = absolute + relative * largest;
  let worst: Deviation | null = null;
  for (let index = 0; index < expected.length; index++) {
    const error = Math.abs(actual[index] - expected[index]);
    if (error <= allowed) continue;
    if (!worst || !(error <= worst.error)) {
      worst = { index, actual: actual[index], expected: expected[index], error, allowed };
    }
  }
  return worst;
}

/**
 * How far the log-probabilities of a backend may be from the forward pass in float64 (`judge.ts`). Both round keys and
 * values to f16. A number near the middle between two f16 may be rounded the other way after an error of f32: changes
 * of 1e-6 before the rounding move log-probabilities by up to 7e-4 (docs/measurements/exactness.md).
 */
export const LOGPROB_TOLERANCE = 2e-3;

/** How far the perplexity of a backend may be from that in float64, relatively. */
export const PERPLEXITY_TOLERANCE = 1e-3;
