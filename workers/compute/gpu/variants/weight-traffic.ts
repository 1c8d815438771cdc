/** How many bytes of weights the matrix kernels read for a prompt, computed from how they divide their work. Pure. */
import type { Bytes } from '../../../../src/contract/ids.ts';
import type { ModelConfig } from '../../../../src/contract/import-api.ts';
import type { TensorLayout } from '../../../format/weight-layout.ts';
import type { KernelChoice } from './kernel-variants.ts';
import { planProduct } from './product-plan.ts';

/** The matrices of a layer. */
export interface LayerMatrices {
  /** Those that every token passes: attention and router. */
  dense: readonly TensorLayout[];
  gate: TensorLayout;
  up: TensorLayout;
  down: TensorLayout;
}

export interface WeightTraffic {
  /**
   * Bytes from the GPU's memory. Workgroups that read the same weights count once if they are neighbors in the grid,
   * because they run at the same time and share the GPU's cache.
   */
  memoryBytes: Bytes;
  /** Bytes that workgroups load, from a cache or not. */
  loadedBytes: Bytes;
}

/**
 * The weights that one chunk of a prompt reads in a layer, if its tokens select all experts equally often. The output
 * matrix, which only the last token passes, is not included.
 * @param tokens at most those of a chunk
 */
export function layerTraffic(
  kernels: KernelChoice,
  { expertCount, expertsPerToken }: Pick<ModelConfig, 'expertCount' | 'expertsPerToken'>,
  { dense, gate, up, down }: LayerMatrices,
  tokens: number,
): WeightTraffic {
  const perExpert = Math.ceil((tokens * expertsPerToken) / expertCount);
  const busy = Math.min(expertCount, tokens * expertsPerToken);
  const gateUp = gate.type === up.type ? 2 : 1;
  return [
    ...dense.map((matrix) => matrixTraffic(kernels, matrix, tokens, 1, 1)),
    ...[gate, up].map((matrix) => matrixTraffic(kernels, matrix, perExpert, busy, gateUp)),
    matrixTraffic(kernels, down, perExpert, busy, 1),
  ].reduce((sum, { memoryBytes, loadedBytes }) => ({
    memoryBytes: sum.memoryBytes + memoryBytes,
    loadedBytes: sum.loadedBytes + loadedBytes,
  }));
}

function matrixTraffic(
  kernels: KernelChoice,
  { rows, bytes }: TensorLayout,
  inputs: number,
  experts: number,
  matrices: 1 | 2,
): WeightTraffic {
  const { tiles, tilesFirst } = planProduct(kernels, { rows, matrices, inputs });
  const loadedBytes = bytes * experts * tiles;
  return { memoryBytes: tilesFirst ? bytes * experts : loadedBytes, loadedBytes };
}
