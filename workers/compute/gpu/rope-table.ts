import type { ModelConfig } from '../../../src/contract/import-api.ts';

export type RopeShape = Pick<ModelConfig, 'ropeDimensionCount' | 'ropeFreqBase' | 'ropeScaling' | 'ropeFactors'>;

/**
 * Cosines and sines of the rotary embedding, f32[capacity, ropeDimensionCount / 2, 2] of (cos, sin):
 * pair j at position p turns by `p * frequency_j`. Computed in float64, since
 * WGSL's sin and cos lose all accuracy at angles of thousands.
 */
export function ropeTable(shape: RopeShape, capacity: number): Float32Array<ArrayBuffer> {
  const frequencies = ropeFrequencies(shape);
  const magnitude = shape.ropeScaling?.magnitude ?? 1;
  const pairs = frequencies.length;
  const table = new Float32Array(capacity * pairs * 2);
  for (let position = 0; position < capacity; position++) {
    for (let j = 0; j < pairs; j++) {
      const angle = position * frequencies[j];
      table[(position * pairs + j) * 2] = Math.cos(angle) * magnitude;
      table[(position * pairs + j) * 2 + 1] = Math.sin(angle) * magnitude;
    }
  }
  return table;
}

/** Radians from one position to the next, for each pair: `freqBase^(-2j / ropeDimensionCount)`, scaled. */
function ropeFrequencies({ ropeDimensionCount, ropeFreqBase, ropeScaling, ropeFactors }: RopeShape): number[] {
  const kept = keptShare(ropeDimensionCount, ropeFreqBase, ropeScaling);
  return Array.from({ length: ropeDimensionCount / 2 }, (_, j) => {
    const frequency = ropeFreqBase ** ((-2 * j) / ropeDimensionCount) / (ropeFactors?.[j] ?? 1);
    return frequency * (kept(j) + (1 - kept(j)) / (ropeScaling?.factor ?? 1));
  });
}

/** Turns within the original context: YaRN keeps pairs of more than the first, slows those of fewer than the second. */
const YARN_TURNS = { fast: 32, slow: 1 };

/** How much of its own speed pair j keeps, 0 .. 1: all of it unscaled, nothing under linear scaling, a ramp under YaRN. */
function keptShare(dimensions: number, base: number, scaling: ModelConfig['ropeScaling']): (pair: number) => number {
  if (scaling?.type !== 'yarn') return () => (scaling ? 0 : 1);
  // The pair that turns `turns` times within the original context, from turns = context * base^(-2j / dimensions) / 2 pi.
  const pairOf = (turns: number) =>
    (dimensions * Math.log(scaling.originalContextLength / (turns * 2 * Math.PI))) / (2 * Math.log(base));
  const first = Math.max(0, Math.floor(pairOf(YARN_TURNS.fast)));
  // llama.cpp's bound, though there are only half as many pairs.
  const last = Math.min(dimensions - 1, Math.ceil(pairOf(YARN_TURNS.slow)));
  return (pair) => 1 - Math.min(1, Math.max(0, (pair - first) / Math.max(0.001, last - first)));
}
