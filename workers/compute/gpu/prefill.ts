/**
 * Computes a prompt: all its tokens go through one layer before the next, so that each expert is read once, however
 * many tokens select it. The kernels take the tokens in chunks. After each router, one small readback says which
 * experts the tokens need. While some of them run, the next ones are read (docs/streaming.md).
 */
import { throwIfAborted } from '../../../src/contract/errors.ts';
import { type LayerIndex, layerIndex, type TokenId } from '../../../src/contract/ids.ts';
import type { OnRouterLogits } from '../../experts/likelihood-publisher.ts';
import { inParts } from '../../experts/waves.ts';
import { embedTokens } from './model/forward.ts';
import type { Model } from './model/model.ts';
import { addAccumulator, clearExpertOutputs, combineExperts } from './model/moe-layer.ts';
import type { Activations } from './ops/context.ts';
import { encodePaced, submitPaced } from './pacing.ts';
import { attendAndRoute, type Chunk } from './prefill-chunk.ts';
import { type LayerExpertsInputs, runLayerExperts } from './prefill-experts.ts';

export interface PrefillInputs extends LayerExpertsInputs {
  /** Tokens to add to the KV cache, at least one. The cache grows as needed. */
  tokens: readonly TokenId[];
  /** Position of the first of them. */
  position: number;
  /** Called after each layer with the share of the layers that is done, in tokens; at the end with all tokens. */
  onProgress: (tokensDone: number) => void;
  /** Ends the prefill at the next layer, or while it waits for experts. */
  signal: AbortSignal;
  /** Called for each layer: u32[tokens, expertsPerToken]. */
  onSelectedExperts?: (layer: LayerIndex, selectedExperts: Uint32Array) => void;
  /** Called with the router logits of each token of the last chunk, layer by layer. */
  onRouterLogits?: OnRouterLogits;
  /**
   * Called for each chunk with its residual after the last layer, f32[count, embeddingLength]. The buffer is valid
   * until the promise resolves.
   * @param first index of the chunk's first token
   */
  onResiduals?: (residual: Activations, first: number, count: number) => Promise<void>;
}

/**
 * Leaves the last token's residual in `buffers.headResidual`, and the step state ready for the output head.
 * @throws MixtabError `gpu-out-of-memory` if the buffers of a long prompt do not fit, `aborted`, or an error of reading
 * or uploading an expert
 */
export async function prefill(inputs: PrefillInputs): Promise<void> {
  const { model, experts, tokens, position, onProgress, onResiduals } = inputs;
  const { buffers, prefillBuffers, kvCache, ctx } = model;
  await kvCache.grow(position + tokens.length);
  try {
    const chunks = await chunksOf(model, tokens, position);
    await runLayers(inputs, chunks);
    for (const chunk of chunks) await onResiduals?.(chunk.buffers.residual, chunk.first, chunk.tokens.length);
    keepLastResidual(model, chunks.at(-1)!);
  } catch (error) {
    experts.cancel();
    clearExpertOutputs(ctx.pipelines.device, buffers);
    throw error;
  } finally {
    prefillBuffers.release();
  }
  buffers.state.startBatch(1, position + tokens.length - 1);
  onProgress(tokens.length);
}

/** Cuts the tokens into chunks. A single chunk uses the buffers of the step, several have some of their own. */
async function chunksOf(
  { buffers, prefillBuffers }: Model,
  tokens: readonly TokenId[],
  position: number,
): Promise<Chunk[]> {
  const parts = inParts(tokens, buffers.maxTokens);
  const own = parts.length > 1 ? await prefillBuffers.allocate(parts.map((part) => part.length)) : [];
  return parts.map((part, index) => {
    const first = index * buffers.maxTokens;
    return { tokens: part, first, position: position + first, buffers: { ...buffers, ...own[index] } };
  });
}

/** Takes all chunks through all layers. The results are in the chunks' residuals. */
async function runLayers(inputs: PrefillInputs, chunks: readonly Chunk[]): Promise<void> {
  const { model, tokens, signal, onProgress, onSelectedExperts } = inputs;
  const { layerCount } = model.config;
  embedChunks(model, chunks);
  for (let l = 0; l < layerCount; l++) {
    throwIfAborted(signal);
    if (l > 0) onProgress(Math.floor((tokens.length * l) / layerCount));
    const layer = layerIndex(l);
    const selectedExperts = await routeChunks(inputs, layer, chunks);
    onSelectedExperts?.(layer, selectedExperts);
    await runLayerExperts(inputs, layer, chunks, selectedExperts);
    addToResiduals(model, layer, chunks);
  }
}

/** Writes the embedding of each chunk's tokens to its residuals. */
export function embedChunks(model: Model, chunks: readonly Chunk[]): void {
  const { device } = model.ctx.pipelines;
  for (const { tokens, buffers } of chunks) {
    device.queue.writeBuffer(buffers.tokens.buffer, 0, Uint32Array.from(tokens));
    buffers.state.startBatch(tokens.length, 0);
    submitPaced(model.ctx, embedTokens({ ...model, buffers }, tokens.length));
  }
}

/**
 * Attention and router of a layer, for all chunks.
 * @returns u32[tokens, expertsPerToken]: the experts of each token, best first
 */
async function routeChunks(
  { model, readback, onRouterLogits }: PrefillInputs,
  layer: LayerIndex,
  chunks: readonly Chunk[],
): Promise<Uint32Array> {
  const { config, ctx, buffers } = model;
  const last = chunks.at(-1)!;
  for (const chunk of chunks.slice(0, -1)) {
    buffers.state.startBatch(chunk.tokens.length, chunk.position);
    submitPaced(ctx, attendAndRoute(model, chunk, layer));
  }
  buffers.state.startBatch(last.tokens.length, last.position);
  const slices = chunks.map((chunk) => ({
    ...chunk.buffers.selectedExperts,
    size: chunk.tokens.length * config.expertsPerToken * 4,
  }));
  const { slice, stride } = buffers.routerLogits;
  if (onRouterLogits) slices.push({ ...slice, size: last.tokens.length * stride * 4 });
  const results = await readback.submit(encodePaced(ctx, attendAndRoute(model, last, layer)), slices);
  const logits = onRouterLogits && results.pop()!;
  for (let t = 0; logits && t < last.tokens.length; t++) {
    onRouterLogits(layer, new Float32Array(logits, t * stride * 4, config.expertCount));
  }
  return concatenate(results);
}

/** Adds the outputs of a layer's experts to the residuals. */
export function addToResiduals(model: Model, layer: LayerIndex, chunks: readonly Chunk[]): void {
  for (const { tokens, buffers } of chunks) {
    buffers.state.startBatch(tokens.length, 0);
    const chunkModel = { ...model, buffers };
    const { accumulator } = buffers;
    const dispatches = accumulator
      ? addAccumulator(chunkModel, layer, tokens.length, accumulator)
      : combineExperts(chunkModel, layer, tokens.length);
    submitPaced(model.ctx, dispatches);
  }
}

/** Copies the residual of the last token to where the output head reads it. */
function keepLastResidual({ buffers, ctx }: Model, { tokens, buffers: { residual } }: Chunk): void {
  const { device } = ctx.pipelines;
  const rowBytes = residual.stride * 4;
  const encoder = device.createCommandEncoder({ label: 'last token' });
  const offset = residual.slice.offset + (tokens.length - 1) * rowBytes;
  encoder.copyBufferToBuffer(residual.slice.buffer, offset, buffers.headResidual.slice.buffer, 0, rowBytes);
  device.queue.submit([encoder.finish()]);
}

function concatenate(parts: readonly ArrayBuffer[]): Uint32Array {
  const words = new Uint32Array(parts.reduce((sum, { byteLength }) => sum + byteLength / 4, 0));
  let end = 0;
  for (const part of parts) {
    words.set(new Uint32Array(part), end);
    end += part.byteLength / 4;
  }
  return words;
}
