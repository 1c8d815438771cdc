import type { ModelConfig } from '../../src/contract/import-api.ts';

export type RopeShape = Pick<ModelConfig, 'ropeDimensionCount' | 'ropeFreqBase' | 'ropeScaling' | 'ropeFactors'>;

/**
 * The cosines and sines of the rotary position embedding: f32[capacity, ropeDimensionCount / 2, 2] of (cos, sin). Pair
 * j at position p is rotated by `p * frequency_j` radians. Computed in float64, because sin and cos in WGSL are
 * inaccurate for angles of thousands of radians.
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

/** Bytes of the {@link ropeTable}, which is not made before they fit the budget. */
export const ropeTableBytes = ({ ropeDimensionCount }: RopeShape, capacity: number): number =>
  capacity * ropeDimensionCount * 4;

/** The radians per position of each pair: `ropeFreqBase^(-2j / ropeDimensionCount)`, scaled for longer contexts. */
function ropeFrequencies({ ropeDimensionCount, ropeFreqBase, ropeScaling, ropeFactors }: RopeShape): number[] {
  const kept = keptShare(ropeDimensionCount, ropeFreqBase, ropeScaling);
  return Array.from({ length: ropeDimensionCount / 2 }, (_, j) => {
    const frequency = ropeFreqBase ** ((-2 * j) / ropeDimensionCount) / (ropeFactors?.[j] ?? 1);
    return frequency * (kept(j) + (1 - kept(j)) / (ropeScaling?.factor ?? 1));
  });
}

/**
 * Rotations within the original context. YaRN keeps the frequency of pairs with more than `fast` rotations and divides
 * that of pairs with fewer than `slow`.
 */
const YARN_TURNS = { fast: 32, slow: 1 };

/**
 * Returns which share (0 .. 1) of its original frequency a pair keeps: 1 without scaling, 0 with linear scaling, and a
 * ramp from 1 to 0 with YaRN.
 */
function keptShare(dimensions: number, base: number, scaling: ModelConfig['ropeScaling']): (pair: number) => number {
  if (scaling?.type !== 'yarn') return () => (scaling ? 0 : 1);
  // The pair j that rotates `turns` times within the original context:
  // turns = context * base^(-2j / dimensions) / (2 pi).
  const pairOf = (turns: number) =>
    (dimensions * Math.log(scaling.originalContextLength / (turns * 2 * Math.PI))) / (2 * Math.log(base));
  const first = Math.max(0, Math.floor(pairOf(YARN_TURNS.fast)));
  // The same bound as in llama.cpp, although there are only half as many pairs as dimensions.
  const last = Math.min(dimensions - 1, Math.ceil(pairOf(YARN_TURNS.slow)));
  return (pair) => 1 - Math.min(1, Math.max(0, (pair - first) / Math.max(0.001, last - first)));
}
