/** The attention half of a layer: `x += Wo attention(rope(Wq n), rope(Wk n), Wv n)` with `n = rmsnorm(x)`. */
import type { LayerIndex } from '../../../../src/contract/ids.ts';
import type { Dispatch } from '../dispatch.ts';
import { attention } from '../ops/attention.ts';
import type { Activations, Matrix } from '../ops/context.ts';
import { matmul } from '../ops/matmul.ts';
import { rmsNorm } from '../ops/rms-norm.ts';
import { ropeAndStore } from '../ops/rope-store.ts';
import type { Model } from './model.ts';

/**
 * Adds the attention of a layer to `buffers.residual`, for up to `maxTokens` tokens. Stores their keys and values in
 * the KV cache from `state.position` on.
 * @param positions that the last token attends to, if known
 */
export function attend(model: Model, layer: LayerIndex, maxTokens: number, positions?: number): Dispatch[] {
  const { config, ctx, buffers, weights } = model;
  return [
    ...rmsNorm(ctx, {
      input: buffers.residual,
      weight: weights.layers[layer].attnNorm,
      output: buffers.normed,
      width: config.embeddingLength,
      epsilon: config.rmsNormEpsilon,
      maxTokens,
      label: `L${layer}.attn_norm`,
    }),
    ...attendNormed(model, layer, maxTokens, positions),
  ];
}

/** {@link attend} without its norm: `buffers.normed` holds the normalized residual already. */
export function attendNormed(model: Model, layer: LayerIndex, maxTokens: number, positions?: number): Dispatch[] {
  const { config, ctx, kvCache, ropeTable } = model;
  const { residual, normed, q, k, v, attended, attentionScratch } = model.buffers;
  const { attnQ, attnK, attnV, attnOutput } = model.weights.layers[layer];
  const { headCount, kvHeadCount, headDim, ropeDimensionCount } = config;
  const { keys: keyCache, values: valueCache } = kvCache.layers[layer];
  const label = `L${layer}`;
  const project = (name: string, matrix: Matrix, output: Activations): Dispatch[] =>
    matmul(ctx, { matrix, input: normed, output, maxTokens, label: `${label}.${name}` });

  return [
    ...project('attn_q', attnQ, q),
    ...project('attn_k', attnK, k),
    ...project('attn_v', attnV, v),
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
      label,
    }),
    ...attention(ctx, {
      q,
      keyCache,
      valueCache,
      output: attended,
      scratch: attentionScratch,
      headCount,
      kvHeadCount,
      headDim,
      capacity: kvCache.capacity,
      maxTokens,
      ...(positions !== undefined && { positions }),
      label,
    }),
    ...matmul(ctx, {
      matrix: attnOutput,
      input: attended,
      output: residual,
      maxTokens,
      accumulate: true,
      label: `${label}.attn_output`,
    }),
  ];
}
