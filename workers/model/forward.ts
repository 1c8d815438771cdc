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
import { type StepBuffers, traceOf } from './buffers.ts';
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

export interface DecodeProgram {
  dispatches: Dispatch[];
  /** Where to go on after layer l stalled: index of its router's dispatch. */
  resumeAt: number[];
}

/**
 * One whole token, from the embedding of the last sampled token to the next sampled token. Position
 * and token come from GPU memory, so the program is recorded once and submitted for every token.
 */
export function decodeProgram(model: Model): DecodeProgram {
  const { config, ctx, weights, buffers, slotTable } = model;
  const maxTokens = 1;
  const dispatches = embedTokens(model, maxTokens);
  const resumeAt: number[] = [];
  for (let l = 0; l < config.layerCount; l++) {
    const layer = layerIndex(l);
    const selected = traceOf(buffers, layer, config.expertsPerToken);
    const { norm, route } = routeTokens(ctx, {
      config, weights: weights.layers[layer], layer, slotTable, selected, buffers, maxTokens, mode: 'decode',
    });
    dispatches.push(...attend(model, layer, maxTokens), ...norm);
    resumeAt.push(dispatches.length);
    dispatches.push(
      ...route,
      ...runExperts(ctx, {
        config, banks: model.banks(layer), layer, buffers, groupCount: config.expertsPerToken, maxAssignments: 1,
      }),
      ...combineExperts(ctx, { config, layer, buffers, maxTokens }),
    );
  }
  dispatches.push(...outputHead(model, buffers.residual));
  return { dispatches, resumeAt };
}
