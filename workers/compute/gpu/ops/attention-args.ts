/** The operands of attention, for all its variants. */
import type { Slice } from '../dispatch.ts';
import type { Activations } from './context.ts';

export interface AttentionArgs {
  /** f32[maxTokens, headCount * headDim], rotated. */
  q: Activations;
  /** u32[capacity, kvHeadCount, headDim / 2], packed pairs of f16, including the keys of the batch. */
  keyCache: Slice;
  /** u32[capacity, kvHeadCount, headDim / 2], packed pairs of f16, including the values of the batch. */
  valueCache: Slice;
  /** f32[maxTokens, headCount * headDim] */
  output: Activations;
  /** At least `attentionScratchBytes` long, for this capacity or a larger one. */
  scratch: Slice;
  headCount: number;
  kvHeadCount: number;
  /** Even. */
  headDim: number;
  /** Positions that the cache has room for. */
  capacity: number;
  maxTokens: number;
  /** The positions that the last token attends to. It decides the cost only; default: `capacity`. */
  positions?: number;
  label: string;
}

export type AttentionShape = Pick<AttentionArgs, 'headCount' | 'headDim' | 'capacity' | 'maxTokens'>;
