/**
 * The forward pass, top to bottom: embedding, layers, output head. Only the order of operations;
 * when experts are loaded and what is submitted when is decided in workers/generate/.
 */
import type { ModelConfig } from '../../src/contract/engine-api.ts';
import { type LayerIndex, layerIndex } from '../../src/contract/ids.ts';
import type { Dispatch, Slice } from '../gpu/dispatch.ts';
import type { ExpertBank, OpContext } from '../gpu/ops/context.ts';
import { embed } from '../gpu/ops/embed.ts';
import { matmulParts } from '../gpu/ops/matmul.ts';
import { rmsNorm } from '../gpu/ops/rms-norm.ts';
import { sample } from '../gpu/ops/sample.ts';
import { attentionBlock } from './attention.ts';
import { chunkOf, predictionOf, type StepBuffers, traceOf } from './buffers.ts';
import type { KvCache } from './kv-cache.ts';
import { combineExperts, routeTokens, runExperts } from './moe-layer.ts';
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
    config, weights: weights.layers[layer], cache: kvCache.layers[layer], capacity: kvCache.capacity, ropeTable, buffers,
    maxTokens, place: `L${layer}`,
  });
}

/**
 * Norm, output matrix and sampler: the next token from the residual of one token.
 * @param residual that token's residual, in row 0
 */
export function outputHead({ config, ctx, weights, buffers }: Model, residual: StepBuffers['residual']): Dispatch[] {
  const { headNormed, logits } = buffers;
  return [
    ...rmsNorm(ctx, {
      input: residual, weight: weights.outputNorm, output: headNormed, width: config.embeddingLength,
      epsilon: config.rmsNormEpsilon, maxTokens: 1, place: 'output_norm',
    }),
    ...matmulParts(ctx, { parts: weights.output, input: headNormed, output: logits, maxTokens: 1, place: 'output' }),
    ...sample(ctx, {
      logits, vocabularySize: config.vocabularySize, params: buffers.sampleParams, counts: buffers.sampleCounts,
      bias: buffers.sampleBias, tokens: buffers.tokens, result: buffers.sampleResult, scratch: buffers.sampleScratch,
    }),
  ];
}

/** One token, recorded once and submitted for every token: position and token come from GPU memory. */
export interface DecodeProgram {
  /** The whole token at once; a missing expert stalls it at its layer's router. */
  whole: Dispatch[];
  /** The same, cut where experts may have to be loaded: from the embedding to the choice of layer 0's experts. */
  start: Dispatch[];
  /**
   * From layer l's router (its experts must be resident) to the choice of layer l+1's experts, or to the sampler.
   * Also what a stalled token goes on with.
   */
  layers: Dispatch[][];
}

/** Steps of a token; see docs/streaming.md. */
export function decodeProgram(whole: Model): DecodeProgram {
  const maxTokens = 1;
  const model = { ...whole, buffers: chunkOf(whole.buffers, 0, maxTokens, whole.config.expertsPerToken) };
  const { config, ctx, weights, buffers, slotTable } = model;
  const parts = Array.from({ length: config.layerCount }, (_, l) => {
    const layer = layerIndex(l);
    const inputs = {
      config, weights: weights.layers[layer], layer, slotTable, selected: traceOf(buffers, layer, config.expertsPerToken),
      buffers, maxTokens,
    };
    const { norm, route } = routeTokens(ctx, { ...inputs, mode: 'decode' });
    return {
      attend: [...attend(model, layer, maxTokens), ...norm],
      // Without the slot table: tells which experts to load.
      choose: routeTokens(ctx, { ...inputs, mode: 'prefill' }).route,
      experts: [
        ...route,
        ...runExperts(ctx, {
          config, banks: model.banks(layer), layer, buffers, groupCount: config.expertsPerToken, maxAssignments: 1,
        }),
        ...combineExperts(ctx, { config, layer, buffers, maxTokens }),
      ],
      predictNext: l + 1 < config.layerCount ? predictExperts(model, layerIndex(l + 1)) : [],
    };
  });
  const embedding = embedTokens(model, maxTokens);
  const head = outputHead(model, buffers.residual);
  const untilChoice = (l: number): Dispatch[] => {
    const { attend: attention, choose, predictNext } = parts[l];
    return [...attention, ...choose, ...predictNext];
  };
  return {
    whole: [...embedding, ...parts.flatMap(({ attend: attention, experts }) => [...attention, ...experts]), ...head],
    start: [...embedding, ...untilChoice(0)],
    layers: parts.map(({ experts }, l) => [...experts, ...(l + 1 < parts.length ? untilChoice(l + 1) : head)]),
  };
}

/**
 * Guesses which experts `layer` will choose by running its router on the residual of the layer before, which differs
 * from its own input by one layer's contribution.
 */
function predictExperts({ config, ctx, weights, buffers, slotTable }: Model, layer: LayerIndex): Dispatch[] {
  const { ahead } = buffers;
  const guess = { ...buffers, normed: ahead.normed, routerLogits: ahead.routerLogits, routingWeights: ahead.routingWeights };
  const { norm, route } = routeTokens(ctx, {
    config, weights: weights.layers[layer], layer, slotTable, buffers: guess, maxTokens: 1, mode: 'prefill',
    selected: predictionOf(buffers, layer, config.expertsPerToken), place: `L${layer}.ahead`,
  });
  return [...norm, ...route];
}
