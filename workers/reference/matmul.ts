/** Matrix products in float64, and the error of f32 sums relative to them. */

/** A product and its sums of magnitudes, both `[inputs, rows]`. */
export interface ExactProduct {
  values: Float64Array;
  /** Sums of the absolute values of the terms. The rounding error of a sum is proportional to this, not to the sum. */
  magnitudes: Float64Array;
}

/**
 * `weights x` for one input, without the magnitudes. Each row has four sums: an addition need not wait for the one before
 * it, which is several times as fast.
 * @param weights `[rows, x.length]`
 * @returns `[rows]`
 */
export function matvec(weights: Float32Array, x: Float64Array): Float64Array {
  const cols = x.length;
  const out = new Float64Array(weights.length / cols);
  const even = cols - (cols % 4);
  for (let r = 0, at = 0; r < out.length; r++, at += cols) {
    let [a, b, c, d] = [0, 0, 0, 0];
    for (let i = 0; i < even; i += 4) {
      a += weights[at + i] * x[i];
      b += weights[at + i + 1] * x[i + 1];
      c += weights[at + i + 2] * x[i + 2];
      d += weights[at + i + 3] * x[i + 3];
    }
    for (let i = even; i < cols; i++) a += weights[at + i] * x[i];
    out[r] = a + b + (c + d);
  }
  return out;
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

/**
 * The largest error relative to the magnitudes; infinite if any value is NaN. @throws RangeError if the lengths differ
 */
export function worstError(actual: ArrayLike<number>, { values, magnitudes }: ExactProduct): number {
  if (actual.length !== values.length) throw new RangeError(`${actual.length} values, expected ${values.length}`);
  let worst = 0;
  for (let i = 0; i < actual.length; i++) {
    const error = Math.abs(actual[i] - values[i]) / (magnitudes[i] + 1e-30);
    worst = Number.isNaN(error) ? Number.POSITIVE_INFINITY : Math.max(worst, error);
  }
  return worst;
}
