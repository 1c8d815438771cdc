/** RMS norm in float64: `x / sqrt(mean(x^2) + epsilon) * weight` for each row of `x`, which is `[rows, width]`. */
export function rmsNorm(x: ArrayLike<number>, weight: ArrayLike<number>, width: number, epsilon: number): Float64Array {
  const out = new Float64Array(x.length);
  for (let row = 0; row < x.length; row += width) {
    let squares = 0;
    for (let c = 0; c < width; c++) squares += x[row + c] ** 2;
    const length = Math.sqrt(squares / width + epsilon);
    for (let c = 0; c < width; c++) out[row + c] = (x[row + c] / length) * weight[c];
  }
  return out;
}
