import type { ModelConfig } from '../../src/contract/engine-api.ts';

/**
 * Cosines and sines of the rotary embedding, f32[capacity, ropeDimensionCount / 2, 2] of (cos, sin):
 * pair j at position p turns by `p * freqBase^(-2j / ropeDimensionCount)`. Computed in float64, since
 * WGSL's sin and cos lose all accuracy at angles of thousands.
 */
export function ropeTable(
  { ropeDimensionCount, ropeFreqBase }: Pick<ModelConfig, 'ropeDimensionCount' | 'ropeFreqBase'>,
  capacity: number,
): Float32Array<ArrayBuffer> {
  const pairs = ropeDimensionCount / 2;
  const frequencies = Float64Array.from({ length: pairs }, (_, j) => ropeFreqBase ** ((-2 * j) / ropeDimensionCount));
  const table = new Float32Array(capacity * pairs * 2);
  for (let position = 0; position < capacity; position++) {
    for (let j = 0; j < pairs; j++) {
      const angle = position * frequencies[j];
      table[(position * pairs + j) * 2] = Math.cos(angle);
      table[(position * pairs + j) * 2 + 1] = Math.sin(angle);
    }
  }
  return table;
}
