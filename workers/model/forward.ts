/**
 * The forward pass, top to bottom: embedding, layers, output head. Only the order of operations;
 * when experts are loaded and what is submitted when is decided in workers/generate/.
 */

import { type LayerIndex, layerIndex } from '../../src/contract/ids.ts';
import type { ModelConfig } from '../../src/contract/import-api.ts';
import type { Dispatch, Slice } from '../compute/gpu/dispatch.ts';
import type { Activations, ExpertBank, OpContext } from '../compute/gpu/ops/context.ts';
import { embed } from '../compute/gpu/ops/embed.ts';
import { matmulParts } from '../compute/gpu/ops/matmul.ts';
import { rmsNorm } from '../compute/gpu/ops/rms-norm.ts';
import { sample } from '../compute/gpu/ops/sample.ts';
import { attentionBlock } from './attention.ts';
import { predictionOf, type StepBuffers, traceOf } from './buffers.ts';
import type { KvCache } from './kv-cache.ts';
import { combineExperts, routeTokens, runExperts } from './moe-layer.ts';
import type { PrefillBuffers } from './prefill-buffers.ts';
import type { DenseWeights } from './weights.ts';

/** A model on the GPU. */
export interface Model {
  config: ModelConfig;
  ctx: OpContext;
  weights: DenseWeights;
  kvCache: KvCache;
  /** f32[kvCache.limit, ropeDimensionCount / 2, 2] */
  ropeTable: Slice;
  buffers: StepBuffers;
  prefillBuffers: PrefillBuffers;
  slotTable: Slice;
  banks(layer: LayerIndex): readonly ExpertBank[];
}

/** `residual[t] = embedding[tokens[t]]` */
export function embedTokens({ ctx, weights, buffers }: Model, maxTokens: number): Dispatch[] {
  return embed(ctx, { matrix: weights.embedding, tokens: buffers.tokens, output: buffers.residual, maxTokens });
}

/** Attention of one layer over a batch. */
export function attend(model: Model, layer: LayerIndex, maxTokens: number): Dispatch[] {
  const { config, ctx, weights, kvCache, ropeTable, buffers } = model;
  return attentionBlock(ctx, {
    config,
    weights: weights.layers[layer],
    cache: kvCache.layers[layer],
    capacity: kvCache.capacity,
    ropeTable,
    buffers,
    maxTokens,
    label: `L${layer}`,
  });
}

/** `logits[t] = output rmsnorm(residual[t])` */
export function logitsOf(
  { config, ctx, weights }: Model,
  {
    residual,
    normed,
    logits,
    maxTokens,
  }: { residual: Activations; normed: Activations; logits: Activations; maxTokens: number },
): Dispatch[] {
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
 * Norm, output matrix and sampler: the next token from the residual of one token.
 * @param residual that token's residual, in row 0
 */
export function outputHead(model: Model, residual: Activations): Dispatch[] {
  const { config, ctx, buffers } = model;
  const { headNormed, logits } = buffers;
  return [
    ...logitsOf(model, { residual, normed: headNormed, logits, maxTokens: 1 }),
    ...sample(ctx, {
      logits,
      vocabularySize: config.vocabularySize,
      params: buffers.sampleParams,
      counts: buffers.sampleCounts,
      bias: buffers.sampleBias,
      tokens: buffers.tokens,
      result: buffers.sampleResult,
      scratch: buffers.sampleScratch,
    }),
  ];
}

/** One token, recorded once and submitted for every token: position and token come from GPU memory. */
export interface DecodeProgram {
  /** The whole token at once; a missing expert stalls it at its layer's router. */
  whole: Dispatch[];
  /** The same, with a guess at each layer what the next one will choose. */
  withPredictions: Dispatch[];
  /** From the embedding to the choice of layer 0's experts, with a guess what the next `depth` layers will choose. */
  start(depth: PredictionDepth): Dispatch[];
  /** The layer's experts in `buffers.groups`: some of those that the token chose, or all. */
  experts(layer: LayerIndex): Dispatch[];
  /** From what the layer's experts made, once all ran, to the choice of the next one's, with a guess for `depth` layers after that. */
  untilNextChoice(layer: LayerIndex, depth: PredictionDepth): Dispatch[];
  /** From what the layer's experts made to the sampler, with the guesses. It may stall. */
  untilEnd(layer: LayerIndex): Dispatch[];
}

/** How many of the layers behind one whose experts are chosen have theirs guessed. */
export type PredictionDepth = 1 | 2;

/**
 * Steps of a token; see docs/streaming.md.
 * @param headOf what is made of the last layer's residual; default: logits and sampler
 */
export function decodeProgram(
  model: Model,
  headOf: (model: Model, residual: Activations) => Dispatch[] = outputHead,
): DecodeProgram {
  const maxTokens = 1;
  const { config, ctx, weights, buffers, slotTable } = model;
  const parts = Array.from({ length: config.layerCount }, (_, l) => {
    const layer = layerIndex(l);
    const inputs = {
      config,
      weights: weights.layers[layer],
      layer,
      slotTable,
      selectedExperts: traceOf(buffers, layer, config.expertsPerToken),
      buffers,
      maxTokens,
    };
    const { norm, route } = routeTokens(ctx, { ...inputs, mode: 'decode' });
    return {
      attend: [...attend(model, layer, maxTokens), ...norm],
      choose: routeTokens(ctx, { ...inputs, mode: 'choose' }).route,
      route,
      experts: runExperts(ctx, {
        config,
        banks: model.banks(layer),
        layer,
        buffers,
        groupCount: config.expertsPerToken,
        maxAssignments: 1,
      }),
      combine: combineExperts(ctx, { config, layer, buffers, maxTokens }),
      predictNext: predictExperts(model, l + 1),
      predictSecond: predictExperts(model, l + 2),
    };
  });
  const embedding = embedTokens(model, maxTokens);
  const head = headOf(model, buffers.residual);
  const untilChoice = (l: number, depth: PredictionDepth): Dispatch[] => {
    const { attend: attention, choose, predictNext, predictSecond } = parts[l];
    return [...attention, ...choose, ...predictNext, ...(depth === 2 ? predictSecond : [])];
  };
  // The guess before the router, which may stall and thereby stop all that follows.
  const untilEnd = (l: number, predicting: boolean): Dispatch[] => [
    ...parts
      .slice(l)
      .flatMap(({ attend: attention, predictNext, route, experts, combine }) => [
        ...attention,
        ...(predicting ? predictNext : []),
        ...route,
        ...experts,
        ...combine,
      ]),
    ...head,
  ];
  return {
    whole: [...embedding, ...untilEnd(0, false)],
    withPredictions: [...embedding, ...untilEnd(0, true)],
    start: (depth) => [...embedding, ...untilChoice(0, depth)],
    experts: (l) => parts[l].experts,
    untilNextChoice: (l, depth) => [...parts[l].combine, ...untilChoice(l + 1, depth)],
    untilEnd: (l) => [...parts[l].combine, ...untilEnd(l + 1, true)],
  };
}

/**
 * Guesses which experts layer `l`, if there is one, will choose by running its router on the residual of an earlier layer, which differs
 * from its own input by the contributions of those between.
 */
function predictExperts({ config, ctx, weights, buffers, slotTable }: Model, l: number): Dispatch[] {
  if (l >= config.layerCount) return [];
  const layer = layerIndex(l);
  const { predictionScratch } = buffers;
  const predictionBuffers = {
    ...buffers,
    normed: predictionScratch.normed,
    routerLogits: predictionScratch.routerLogits,
    routingWeights: predictionScratch.routingWeights,
  };
  const { norm, route } = routeTokens(ctx, {
    config,
    weights: weights.layers[layer],
    layer,
    slotTable,
    buffers: predictionBuffers,
    maxTokens: 1,
    mode: 'choose',
    selectedExperts: predictionOf(buffers, layer, config.expertsPerToken),
    label: `L${layer}.ahead`,
  });
  return [...norm, ...route];
}
