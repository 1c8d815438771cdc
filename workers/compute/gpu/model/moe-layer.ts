/**
 * The mixture-of-experts half of a layer, with `n = rmsnorm(x)`:
 *
 *     x += sum over the top K experts e of weight_e * down_e(silu(gate_e n) * up_e n)
 *
 * The top K experts are those with the largest logits in `router n`, and their weights are the softmax of these logits.
 *
 * It is split into steps, because the top K experts may have to be loaded before they run. The routing weight is
 * multiplied in where the product is stored, and the sum over experts is a kernel of its own: in one kernel a compiler
 * may contract both into one rounding, and then the result would depend on the order of the experts.
 */
import type { LayerIndex } from '../../../../src/contract/ids.ts';
import type { Dispatch, Slice } from '../dispatch.ts';
import { combine } from '../ops/combine.ts';
import { combineAndNorm } from '../ops/combine-norm.ts';
import type { Activations, ExpertBank } from '../ops/context.ts';
import { expertDown } from '../ops/expert-down.ts';
import { expertGateUp } from '../ops/expert-gate-up.ts';
import type { BankShare } from '../ops/expert-matmul.ts';
import { matmul } from '../ops/matmul.ts';
import { rmsNorm } from '../ops/rms-norm.ts';
import { routeToken } from '../ops/route-token.ts';
import { type RouterMode, router } from '../ops/router.ts';
import type { StepBuffers } from './buffers.ts';
import type { Model } from './model.ts';

/** `normed = rmsnorm(residual)`, then `routerLogits = router normed`. */
export function scoreExperts(model: Model, layer: LayerIndex, maxTokens: number, label = `L${layer}`): Dispatch[] {
  const { config, ctx } = model;
  const { residual, normed, routerLogits } = model.buffers;
  const weights = model.weights.layers[layer];
  return [
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
  ];
}

export interface RouteTokenOptions extends Pick<SelectOptions, 'selectedExperts' | 'label'> {
  mode: Exclude<RouterMode, 'prefill'>;
}

/** {@link scoreExperts}, then {@link selectExperts}, for one token in decode. */
export function routeOneToken(model: Model, layer: LayerIndex, options: RouteTokenOptions): Dispatch[] {
  const { config, ctx, slotTable } = model;
  const { residual, normed, routerLogits, routingWeights, groups } = model.buffers;
  const { ffnNorm, router: matrix } = model.weights.layers[layer];
  return routeToken(ctx, {
    label: `L${layer}`,
    ...options,
    residual,
    normWeight: ffnNorm,
    matrix,
    normed,
    logits: routerLogits,
    width: config.embeddingLength,
    epsilon: config.rmsNormEpsilon,
    expertCount: config.expertCount,
    expertsPerToken: config.expertsPerToken,
    layer,
    routingWeights,
    slotTable,
    groups,
  });
}

export interface SelectOptions {
  maxTokens: number;
  /** Whether to look up the slots of the experts, too. */
  mode: RouterMode;
  /** The output: u32[maxTokens, expertsPerToken] */
  selectedExperts: Slice;
  /** For error messages and traces; default: the layer. */
  label?: string;
}

/** Selects the experts of each token by `routerLogits`, and writes their `routingWeights`. */
export function selectExperts(model: Model, layer: LayerIndex, options: SelectOptions): Dispatch[] {
  const { config, ctx, slotTable } = model;
  const { routerLogits, routingWeights, groups } = model.buffers;
  return router(ctx, {
    label: `L${layer}`,
    ...options,
    logits: routerLogits,
    expertCount: config.expertCount,
    expertsPerToken: config.expertsPerToken,
    layer,
    routingWeights,
    slotTable,
    groups,
  });
}

export interface ExpertsShape {
  /** Groups in `buffers.groups`. A group is one expert with its assignments. */
  groupCount: number;
  /** Assignments of the largest group. */
  maxAssignments: number;
  /** Assignments that a group of this batch has on average; default: the largest. See `ExpertWork`. */
  typicalAssignments?: number;
  /** The groups, if they are known; otherwise each slot is as likely as the others to have one. */
  groups?: readonly KnownGroup[];
}

/** A group of a work list that the CPU has written. */
export interface KnownGroup {
  /** As the slot table holds it. */
  slot: number;
  assignments: number;
}

/** What of a work list is for each bank of a layer. */
function bankShares(banks: readonly ExpertBank[], { groupCount, maxAssignments, groups }: ExpertsShape): BankShare[] {
  const slots = banks.reduce((sum, bank) => sum + bank.slots, 0);
  return banks.map((bank) => {
    if (!groups) {
      const mean = (groupCount * bank.slots) / slots;
      return { groups: mean, assignments: mean * maxAssignments };
    }
    const own = groups.filter(({ slot }) => slot >= bank.firstSlot && slot < bank.firstSlot + bank.slots);
    return { groups: own.length, assignments: own.reduce((sum, { assignments }) => sum + assignments, 0) };
  });
}

/**
 * Runs the experts in `buffers.groups` on their assignments. Their weighted outputs go to rows of `buffers.expertOut`.
 */
export function runExperts(model: Model, layer: LayerIndex, shape: ExpertsShape): Dispatch[] {
  const { config, ctx } = model;
  const { normed, activations, expertOut, routingWeights, groups } = model.buffers;
  const { expertsPerToken } = config;
  const { groups: _, ...sizes } = shape;
  const banks = model.banks(layer);
  const shares = bankShares(banks, shape);
  return banks.flatMap((bank, b) => {
    const label = `L${layer}.slots${bank.firstSlot}+`;
    const shared = { bank, groups, ...sizes, share: shares[b], activations, label };
    return [
      ...expertGateUp(ctx, { ...shared, expertsPerToken, input: normed }),
      ...expertDown(ctx, { ...shared, routingWeights, output: expertOut }),
    ];
  });
}

/** Adds `expertOut` to the accumulator, or to the residual if there is none, and zeroes it. */
export function combineExperts(model: Model, layer: LayerIndex, maxTokens: number): Dispatch[] {
  const { config, ctx, buffers } = model;
  return combine(ctx, {
    sums: buffers.accumulator ?? buffers.residual,
    rows: buffers.expertOut,
    rowsPerSum: config.expertsPerToken,
    width: config.embeddingLength,
    maxTokens,
    label: `L${layer}`,
  });
}

/**
 * `residual += sum of expertOut`, then `normed = rmsnorm(residual)` with the norm of the next layer's attention, for one
 * token in decode.
 */
export function combineAndNormNext({ config, ctx, buffers, weights }: Model, layer: LayerIndex): Dispatch[] {
  return combineAndNorm(ctx, {
    sums: buffers.residual,
    rows: buffers.expertOut,
    rowsPerSum: config.expertsPerToken,
    weight: weights.layers[layer + 1].attnNorm,
    output: buffers.normed,
    width: config.embeddingLength,
    epsilon: config.rmsNormEpsilon,
    maxTokens: 1,
    label: `L${layer}`,
  });
}

/** Adds the accumulator to the residual after all experts of a layer ran, and zeroes it. */
export function addAccumulator(
  { config, ctx, buffers }: Model,
  layer: LayerIndex,
  maxTokens: number,
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

/**
 * Zeroes `expertOut`. Needed if a token or prompt ends within a layer, so that its outputs are not added to the next
 * one's.
 */
export function clearExpertOutputs(device: GPUDevice, { expertOut }: StepBuffers): void {
  const encoder = device.createCommandEncoder({ label: 'clear expert outputs' });
  encoder.clearBuffer(expertOut.slice.buffer);
  device.queue.submit([encoder.finish()]);
}
