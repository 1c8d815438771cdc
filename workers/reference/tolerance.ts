/**
 * How far a kernel's result may lie from the float64 reference. One table for all kernels; a failure
 * means the kernel, not the table, unless the reason stands here.
 */

export interface Tolerance {
  /** Relative to the largest magnitude in the reference: f32 sums lose bits relative to their terms. */
  relative: number;
  /** Floor for results near zero. */
  absolute: number;
}

/** f32 has 24 bits: one rounding is 6e-8, a sum of n terms in any order about sqrt(n) of them. */
export const TOLERANCE = {
  /** A few roundings on each value. */
  elementwise: { relative: 1e-6, absolute: 1e-7 },
  /** Sums of up to some ten thousand products. */
  reduction: { relative: 2e-5, absolute: 1e-6 },
  /** exp and log: WGSL allows 3 + 2|x| units in the last place for exp. */
  softmax: { relative: 2e-5, absolute: 2e-6 },
  /** Values stored as f16 (11 bits). */
  half: { relative: 6e-4, absolute: 1e-7 },
} as const satisfies Record<string, Tolerance>;

/**
 * Dot products, relative to the sum of their terms' magnitudes (`worstError` in matmul.ts): each f32 addition rounds by
 * 2^-24 of the running sum, and the errors of some hundred terms add up like a random walk.
 */
export const DOT_TOLERANCE = 24 * 2 ** -24;

/** The largest deviation and where it is, against what is allowed. */
export interface Deviation {
  index: number;
  actual: number;
  expected: number;
  error: number;
  allowed: number;
}

/** @returns null where all values lie within the tolerance, else the worst one. A NaN is always outside. */
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
