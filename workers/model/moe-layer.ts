/**
 * The mixture-of-experts half of a layer:
 * `x += sum over the top k experts e of softmax_k(router n)[e] * down_e(silu(gate_e n) * up_e n)`, n = rmsnorm(x).
 *
 * In three parts, since between the first and the second the chosen experts may have to be loaded. The weight is multiplied
 * in where the product is stored, and sums are only added up later: in one kernel a compiler may make one rounding of
 * both, and then it would matter which of two experts comes first.
 */

import type { LayerIndex } from '../../src/contract/ids.ts';
import type { ModelConfig } from '../../src/contract/import-api.ts';
import type { Dispatch, Slice } from '../compute/gpu/dispatch.ts';
import { combine } from '../compute/gpu/ops/combine.ts';
import type { Activations, ExpertBank, OpContext } from '../compute/gpu/ops/context.ts';
import { expertDown } from '../compute/gpu/ops/expert-down.ts';
import { expertGateUp } from '../compute/gpu/ops/expert-gate-up.ts';
import { matmul } from '../compute/gpu/ops/matmul.ts';
import { rmsNorm } from '../compute/gpu/ops/rms-norm.ts';
import { type RouterMode, router } from '../compute/gpu/ops/router.ts';
import type { StepBuffers } from './buffers.ts';
import type { LayerWeights } from './weights.ts';

export interface RouteInputs {
  config: ModelConfig;
  weights: LayerWeights;
  layer: LayerIndex;
  slotTable: Slice;
  /** Where the chosen experts go: u32[maxTokens, expertsPerToken]. */
  selectedExperts: Slice;
  buffers: StepBuffers;
  maxTokens: number;
  /** Whether to look up what is chosen in the slot table, too. */
  mode: RouterMode;
  /** For labels; default: the layer. */
  label?: string;
}

/** Norm and router: chooses the experts of each token and their weights. */
export function routeTokens(ctx: OpContext, inputs: RouteInputs): { norm: Dispatch[]; route: Dispatch[] } {
  const { config, weights, layer, slotTable, selectedExperts, buffers, maxTokens, mode } = inputs;
  const { residual, normed, routerLogits, routingWeights, groups } = buffers;
  const { label = `L${layer}` } = inputs;
  return {
    norm: [
      ...rmsNorm(ctx, {
        input: residual,
        weight: weights.ffnNorm,
        output: normed,
        width: config.embeddingLength,
        epsilon: config.rmsNormEpsilon,
        maxTokens,
        label: `${label}.ffn_norm`,
      }),
      ...matmul(ctx, {
        matrix: weights.router,
        input: normed,
        output: routerLogits,
        maxTokens,
        label: `${label}.ffn_gate_inp`,
      }),
    ],
    route: router(ctx, {
      logits: routerLogits,
      expertCount: config.expertCount,
      expertsPerToken: config.expertsPerToken,
      layer,
      maxTokens,
      mode,
      selectedExperts: selectedExperts,
      routingWeights,
      slotTable,
      groups,
      label,
    }),
  };
}

export interface ExpertsInputs {
  config: ModelConfig;
  /** The layer's slots. */
  banks: readonly ExpertBank[];
  layer: LayerIndex;
  buffers: StepBuffers;
  /** Groups in `buffers.groups`; one group is one expert with its tokens. */
  groupCount: number;
  /** Tokens of the largest group. */
  maxAssignments: number;
}

/** The chosen experts, each on its tokens: fills their rows of `buffers.expertOut`, weighted. */
export function runExperts(ctx: OpContext, inputs: ExpertsInputs): Dispatch[] {
  const { config, banks, layer, buffers, groupCount, maxAssignments } = inputs;
  const { normed, activations, expertOut, routingWeights, groups } = buffers;
  const { expertsPerToken } = config;
  return banks.flatMap((bank) => {
    const shared = { bank, groups, groupCount, maxAssignments, activations };
    const label = `L${layer}.slots${bank.firstSlot}+`;
    return [
      ...expertGateUp(ctx, { ...shared, expertsPerToken, input: normed, label }),
      ...expertDown(ctx, { ...shared, routingWeights, output: expertOut, label }),
    ];
  });
}

export type CombineInputs = Pick<RouteInputs, 'config' | 'layer' | 'buffers' | 'maxTokens'>;

/** Adds the outputs of the experts that ran to the accumulator, or where there is none to the residual. */
export function combineExperts(ctx: OpContext, { config, layer, buffers, maxTokens }: CombineInputs): Dispatch[] {
  return combine(ctx, {
    sums: buffers.accumulator ?? buffers.residual,
    rows: buffers.expertOut,
    rowsPerSum: config.expertsPerToken,
    width: config.embeddingLength,
    maxTokens,
    label: `L${layer}`,
  });
}

/** Zeroes what experts made and nothing was added to: where a token or prompt ends amid a layer, it must not be added to the next one's. */
export function clearExpertOutputs(device: GPUDevice, { expertOut }: StepBuffers): void {
  const encoder = device.createCommandEncoder({ label: 'drop outputs' });
  encoder.clearBuffer(expertOut.slice.buffer);
  device.queue.submit([encoder.finish()]);
}

/** Adds what the accumulator holds, once all experts ran, to the residual. */
export function addAccumulated(
  ctx: OpContext,
  { config, layer, buffers, maxTokens }: CombineInputs,
  accumulator: Activations,
): Dispatch[] {
  return combine(ctx, {
    sums: buffers.residual,
    rows: accumulator,
    rowsPerSum: 1,
    width: config.embeddingLength,
    maxTokens,
    label: `L${layer}.accumulated`,
  });
}
