/**
 * The forward pass, top to bottom: embedding, layers, output head. These functions only record dispatches, in their
 * order. `prefill.ts` and `decode` decide what is submitted when, and load missing experts between the steps of a layer.
 */
import { type LayerIndex, layerIndex } from '../../../../src/contract/ids.ts';
import type { Dispatch } from '../dispatch.ts';
import type { Activations } from '../ops/context.ts';
import { embed } from '../ops/embed.ts';
import { matmulParts } from '../ops/matmul.ts';
import { rmsNorm } from '../ops/rms-norm.ts';
import { sample } from '../ops/sample.ts';
import { attend, attendNormed } from './attention.ts';
import { traceOf } from './buffers.ts';
import type { Model } from './model.ts';
import { combineAndNormNext, combineExperts, routeOneToken, runExperts } from './moe-layer.ts';

/** The operations of one layer for one token, x being the residual. */
export interface LayerSteps {
  /** `x += attention(n)`. Layer 0 computes `n = rmsnorm(x)` first; in the others `combine` of the layer before did. */
  attention: Dispatch[];
  /**
   * `n = rmsnorm(x)`, `logits = router n`. Selects the K experts with the largest logits. Stalls the step if one of them
   * has no slot.
   */
  route: Dispatch[];
  /** `out_e = weight_e * expert_e(n)` for each of the K experts e */
  experts: Dispatch[];
  /** `x += sum of out_e`, then `n = rmsnorm(x)` for the attention of the next layer, if there is one. */
  combine: Dispatch[];
}

/** The operations of one token. */
export interface TokenSteps {
  embedding: Dispatch[];
  layers: LayerSteps[];
  head: Dispatch[];
}

/** Records the dispatches that follow the last layer, from the residual of one token. */
export type Head = (model: Model, residual: Activations) => Dispatch[];

/**
 * Records one token in decode. It is recorded once and submitted for every token: its id and position are in GPU
 * memory.
 * @param head default: logits and sampler
 */
export function tokenSteps(model: Model, head: Head = outputHead): TokenSteps {
  const { config, buffers } = model;
  return {
    embedding: embedTokens(model, 1),
    layers: Array.from({ length: config.layerCount }, (_, l) => layerSteps(model, layerIndex(l))),
    head: head(model, buffers.residual),
  };
}

function layerSteps(model: Model, layer: LayerIndex): LayerSteps {
  const { expertsPerToken, layerCount } = model.config;
  const selectedExperts = traceOf(model.buffers, layer, expertsPerToken);
  return {
    attention: layer === 0 ? attend(model, layer, 1) : attendNormed(model, layer, 1),
    route: routeOneToken(model, layer, { mode: 'decode', selectedExperts }),
    experts: runExperts(model, layer, { groupCount: expertsPerToken, maxAssignments: 1 }),
    combine: layer + 1 < layerCount ? combineAndNormNext(model, layer) : combineExperts(model, layer, 1),
  };
}

/** The whole token in order: the forward pass. */
export const inOrder = ({ embedding, layers, head }: TokenSteps): Dispatch[] => [
  ...embedding,
  ...layers.flatMap(({ attention, route, experts, combine }) => [...attention, ...route, ...experts, ...combine]),
  ...head,
];

/** `residual[t] = embedding[tokens[t]]` */
export function embedTokens({ ctx, weights, buffers }: Model, maxTokens: number): Dispatch[] {
  return embed(ctx, { matrix: weights.embedding, tokens: buffers.tokens, output: buffers.residual, maxTokens });
}

export interface LogitsArgs {
  /** f32[maxTokens, embeddingLength] */
  residual: Activations;
  /** f32[maxTokens, embeddingLength]: room for the normalized residual. */
  normed: Activations;
  /** f32[maxTokens, vocabularySize]: the output. */
  logits: Activations;
  maxTokens: number;
}

/** `logits[t] = output rmsnorm(residual[t])` */
export function logitsOf({ config, ctx, weights }: Model, args: LogitsArgs): Dispatch[] {
  const { residual, normed, logits, maxTokens } = args;
  return [
    ...rmsNorm(ctx, {
      input: residual,
      weight: weights.outputNorm,
      output: normed,
      width: config.embeddingLength,
      epsilon: config.rmsNormEpsilon,
      maxTokens,
      label: 'output_norm',
    }),
    ...matmulParts(ctx, { parts: weights.output, input: normed, output: logits, maxTokens, label: 'output' }),
  ];
}

/**
 * Samples the next token from the residual of one token: norm, output matrix, sampler.
 * @param residual the residual of that token, in row 0
 */
export function outputHead(model: Model, residual: Activations): Dispatch[] {
  const { headNormed, logits } = model.buffers;
  return [...logitsOf(model, { residual, normed: headNormed, logits, maxTokens: 1 }), ...sampleLogits(model)];
}

/** Samples the next token from the logits. */
export function sampleLogits({ ctx, config, buffers }: Model): Dispatch[] {
  return sample(ctx, {
    logits: buffers.logits,
    vocabularySize: config.vocabularySize,
    params: buffers.sampleParams,
    counts: buffers.sampleCounts,
    bias: buffers.sampleBias,
    tokens: buffers.tokens,
    result: buffers.sampleResult,
    scratch: buffers.sampleScratch,
  });
}
