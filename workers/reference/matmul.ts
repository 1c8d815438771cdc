/** Matrix products in float64, and how far f32 sums may lie from them. */

/** Products and the sums of their terms' magnitudes, both `[inputs, rows]`. */
export interface ExactProduct {
  values: Float64Array;
  /** Rounding errors of a sum are in proportion to this, not to the sum itself. */
  magnitudes: Float64Array;
}

/**
 * `values[t, r] = sum over c of weights[r, c] * x[t, c]`
 * @param weights `[rows, cols]`
 * @param x `[inputs, cols]`
 */
export function matmul(weights: ArrayLike<number>, x: ArrayLike<number>, rows: number, cols: number): ExactProduct {
  const inputs = x.length / cols;
  const values = new Float64Array(inputs * rows);
  const magnitudes = new Float64Array(inputs * rows);
  for (let t = 0; t < inputs; t++) {
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < cols; c++) {
        const product = weights[r * cols + c] * x[t * cols + c];
        values[t * rows + r] += product;
        magnitudes[t * rows + r] += Math.abs(product);
      }
    }
  }
  return { values, magnitudes };
}

/** The largest error, relative to the magnitude of what was added; infinite where anything is not a number. */
export function worstError(actual: ArrayLike<number>, { values, magnitudes }: ExactProduct): number {
  if (actual.length !== values.length) throw new RangeError(`${actual.length} values, expected ${values.length}`);
  let worst = 0;
  for (let i = 0; i < actual.length; i++) {
    const error = Math.abs(actual[i] - values[i]) / (magnitudes[i] + 1e-30);
    worst = Number.isNaN(error) ? Number.POSITIVE_INFINITY : Math.max(worst, error);
  }
  return worst;
}
