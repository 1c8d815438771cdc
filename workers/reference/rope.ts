import type { RopeScaling } from '../../src/contract/import-api.ts';

export interface RopeShape {
  headDim: number;
  /** Dimensions of each head that are rotated. */
  ropeDimensionCount: number;
  ropeFreqBase: number;
  /** Default: not scaled. */
  ropeScaling?: RopeScaling;
  /** Divisor of the frequency of each pair. Default: 1. */
  ropeFactors?: readonly number[];
}

/**
 * Rotary position embedding of heads `[heads, headDim]` at one position, in float64. The pair (2j, 2j + 1), as a
 * complex number, is multiplied by magnitude * exp(i * position * frequency_j).
 */
export function rope(heads: ArrayLike<number>, position: number, shape: RopeShape): Float64Array {
  const { headDim, ropeDimensionCount, ropeScaling } = shape;
  const magnitude = ropeScaling?.magnitude ?? 1;
  const out = Float64Array.from(heads);
  for (let dim = 0; dim < ropeDimensionCount; dim += 2) {
    const angle = position * ropeFrequency(dim / 2, shape);
    const [cos, sin] = [magnitude * Math.cos(angle), magnitude * Math.sin(angle)];
    for (let at = dim; at < heads.length; at += headDim) {
      const [re, im] = [heads[at], heads[at + 1]];
      out[at] = re * cos - im * sin;
      out[at + 1] = re * sin + im * cos;
    }
  }
  return out;
}

/**
 * The radians per position of pair `j`: ropeFreqBase^(-2j / ropeDimensionCount) / factor_j. Linear scaling divides it
 * by the scaling's factor. YaRN interpolates between both.
 */
export function ropeFrequency(j: number, shape: RopeShape): number {
  const { ropeDimensionCount, ropeFreqBase, ropeScaling, ropeFactors } = shape;
  const original = ropeFreqBase ** ((-2 * j) / ropeDimensionCount) / (ropeFactors?.[j] ?? 1);
  if (!ropeScaling) return original;
  const slowed = original / ropeScaling.factor;
  if (ropeScaling.type === 'linear') return slowed;
  const share = yarnShare(j, ropeDimensionCount, ropeFreqBase, ropeScaling.originalContextLength);
  return slowed * (1 - share) + original * share;
}

/**
 * The share of its original frequency that YaRN leaves to pair `j`, with llama.cpp's bounds and rounding: 1 for pairs
 * that rotate more than 32 times within the original context, 0 for those that rotate less than once, a ramp between.
 */
function yarnShare(j: number, dimensions: number, base: number, context: number): number {
  const pairThatTurns = (times: number): number =>
    (dimensions * Math.log(context / (times * 2 * Math.PI))) / (2 * Math.log(base));
  const low = Math.max(0, Math.floor(pairThatTurns(32)));
  const high = Math.min(dimensions - 1, Math.ceil(pairThatTurns(1)));
  const ramp = (j - low) / Math.max(0.001, high - low);
  return 1 - Math.min(1, Math.max(0, ramp));
}
