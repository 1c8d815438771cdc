/** The attention half of a layer: `x += Wo attention(rope(Wq n), rope(Wk n), Wv n)`, n = rmsnorm(x). */
import type { ModelConfig } from '../../src/contract/import-api.ts';
import type { Dispatch, Slice } from '../compute/gpu/dispatch.ts';
import { attention } from '../compute/gpu/ops/attention.ts';
import type { OpContext } from '../compute/gpu/ops/context.ts';
import { matmul } from '../compute/gpu/ops/matmul.ts';
import { rmsNorm } from '../compute/gpu/ops/rms-norm.ts';
import { ropeAndStore } from '../compute/gpu/ops/rope-store.ts';
import type { StepBuffers } from './buffers.ts';
import type { LayerCache } from './kv-cache.ts';
import type { LayerWeights } from './weights.ts';

export interface AttentionInputs {
  config: ModelConfig;
  weights: LayerWeights;
  cache: LayerCache;
  /** Positions the cache holds. */
  capacity: number;
  /** f32[capacity, ropeDimensionCount / 2, 2] */
  ropeTable: Slice;
  buffers: StepBuffers;
  maxTokens: number;
  /** For labels, e.g. `L3`. */
  label: string;
}

/** Reads and writes `buffers.residual`. */
export function attentionBlock(ctx: OpContext, inputs: AttentionInputs): Dispatch[] {
  const { config, weights, cache, capacity, ropeTable, buffers, maxTokens, label } = inputs;
  const { residual, normed, q, k, v, attended } = buffers;
  const { headCount, kvHeadCount, headDim, ropeDimensionCount } = config;
  const keyCache = cache.keys;
  const valueCache = cache.values;
  const project = (name: string, matrix: LayerWeights['attnQ'], output: StepBuffers['q']): Dispatch[] =>
    matmul(ctx, { matrix, input: normed, output, maxTokens, label: `${label}.${name}` });

  return [
    ...rmsNorm(ctx, {
      input: residual,
      weight: weights.attnNorm,
      output: normed,
      width: config.embeddingLength,
      epsilon: config.rmsNormEpsilon,
      maxTokens,
      label: `${label}.attn_norm`,
    }),
    ...project('attn_q', weights.attnQ, q),
    ...project('attn_k', weights.attnK, k),
    ...project('attn_v', weights.attnV, v),
    ...ropeAndStore(ctx, {
      q,
      k,
      v,
      table: ropeTable,
      keyCache,
      valueCache,
      headCount,
      kvHeadCount,
      headDim,
      ropeDimensionCount,
      maxTokens,
      label: label,
    }),
    ...attention(ctx, {
      q,
      keyCache,
      valueCache,
      output: attended,
      scratch: buffers.attentionScratch,
      headCount,
      kvHeadCount,
      headDim,
      capacity,
      maxTokens,
      label,
    }),
    ...matmul(ctx, {
      matrix: weights.attnOutput,
      input: attended,
      output: residual,
      maxTokens,
      accumulate: true,
      label: `${label}.attn_output`,
    }),
  ];
}
