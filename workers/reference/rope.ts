export interface RopeShape {
  headDim: number;
  /** Dimensions of each head that are rotated. */
  ropeDimensionCount: number;
  ropeFreqBase: number;
}

/**
 * Rotary position embedding of heads `[heads, headDim]` at one position, in float64. The pair (2j, 2j + 1), as a
 * complex number, is multiplied by exp(i * position * ropeFreqBase^(-2j / ropeDimensionCount)).
 */
export function rope(heads: ArrayLike<number>, position: number, shape: RopeShape): Float64Array {
  const { headDim, ropeDimensionCount, ropeFreqBase } = shape;
  const out = Float64Array.from(heads);
  for (let head = 0; head < heads.length; head += headDim) {
    for (let dim = 0; dim < ropeDimensionCount; dim += 2) {
      const angle = position / ropeFreqBase ** (dim / ropeDimensionCount);
      const [re, im] = [heads[head + dim], heads[head + dim + 1]];
      out[head + dim] = re * Math.cos(angle) - im * Math.sin(angle);
      out[head + dim + 1] = re * Math.sin(angle) + im * Math.cos(angle);
    }
  }
  return out;
}
