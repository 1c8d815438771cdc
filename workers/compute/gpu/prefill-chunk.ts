/** Chunks: parts of a prompt whose tokens go through the kernels together. */
import type { LayerIndex, TokenId } from '../../../src/contract/ids.ts';
import type { Dispatch } from './dispatch.ts';
import { attend } from './model/attention.ts';
import type { StepBuffers } from './model/buffers.ts';
import type { Model } from './model/model.ts';
import { scoreExperts, selectExperts } from './model/moe-layer.ts';

export interface Chunk {
  /** At most `buffers.maxTokens`. */
  tokens: readonly TokenId[];
  /** Index of its first token among the tokens of the prefill. */
  first: number;
  /** Position of its first token in the KV cache. */
  position: number;
  /** The step's buffers, of which some are replaced by the chunk's own if there are several chunks. */
  buffers: StepBuffers;
}

/** Attention of a layer and its router: from the residual to `buffers.selectedExperts` and `buffers.routingWeights`. */
export function attendAndRoute(model: Model, { tokens, position, buffers }: Chunk, layer: LayerIndex): Dispatch[] {
  const chunkModel = { ...model, buffers };
  const maxTokens = tokens.length;
  return [
    ...attend(chunkModel, layer, maxTokens, position + maxTokens),
    ...scoreExperts(chunkModel, layer, maxTokens),
    ...selectExperts(chunkModel, layer, { maxTokens, mode: 'prefill', selectedExperts: buffers.selectedExperts }),
  ];
}
