/** A model on the CPU: loading creates it, prefill, decode and scoring use it. */
import type { LayerIndex } from '../../../src/contract/ids.ts';
import type { ModelConfig } from '../../../src/contract/import-api.ts';
import type { ExpertCache } from '../../experts/expert-cache.ts';
import type { OnRouterLogits } from '../../experts/likelihood-publisher.ts';
import type { Forward } from './forward.ts';
import type { MessageYield } from './message-yield.ts';
import type { ReusedFloats } from './reused-floats.ts';
import type { RouterOptions } from './router.ts';

/** Tokens, or assignments of tokens to experts, that are computed together. */
export const CHUNK_TOKENS = 128;

export interface CpuModel {
  config: ModelConfig;
  forward: Forward;
  experts: ExpertCache;
  messageYield: MessageYield;
  /** f32[experts, embeddingLength]: the outputs of one token's experts in one layer. */
  expertOutputs: ReusedFloats;
  /** Options of the request that is running. */
  routerOptions: RouterOptions;
  /** Receives router logits, to order the download of a model that is still being imported. Absent for other models. */
  onRouterLogits?: OnRouterLogits;
}

/** Called with the experts of one token in one layer. @param token its index in the request */
export type OnSelectedExperts = (token: number, layer: LayerIndex, experts: Uint32Array) => void;

/** `sums[at + i] += weight * addends[from + i]`, the product rounded to f32 first. */
export function addWeighted(
  sums: Float32Array,
  at: number,
  addends: Float32Array,
  from: number,
  length: number,
  weight: number,
): void {
  // With the product rounded, a sum of two addends is the same in either order.
  for (let i = 0; i < length; i++) sums[at + i] += Math.fround(weight * addends[from + i]);
}
