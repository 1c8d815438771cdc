/** What a synthetic model looks like. */
import type { WeightTypeName } from '../format/weight-layout.ts';
import type { MetadataValue } from './header-writer.ts';

/** The shape, types and metadata of a synthetic model. Equal options give equal bytes. */
export interface SynthOptions {
  name?: string;
  layers: number;
  embeddingLength: number;
  feedForwardLength: number;
  headCount: number;
  kvHeadCount: number;
  /** Default: embeddingLength / headCount. */
  headDim?: number;
  expertCount: number;
  expertsPerToken: number;
  vocabularySize: number;
  /** Writes a byte-level BPE vocabulary with this `tokenizer.ggml.pre`. Default: a SentencePiece vocabulary. */
  pre?: string;
  /** SentencePiece only: whether texts get a leading dummy space. Default: true. */
  spacePrefix?: boolean;
  /** Tokens of the type "user-defined". Tokenizers cut them out of a text before they merge anything. */
  userDefined?: readonly string[];
  contextLength: number;
  ropeFreqBase?: number;
  /** Weight types by role. `experts` is the type of the gate and up matrices. */
  types: {
    attention: WeightTypeName;
    experts: WeightTypeName;
    down: WeightTypeName;
    embedding: WeightTypeName;
    output: WeightTypeName;
    router: WeightTypeName;
  };
  /**
   * Types of single matrices: a regular expression for their names (as in the per-expert layout), and the type. If
   * several match, the last one counts.
   */
  overrides?: [pattern: string, type: WeightTypeName][];
  layout: 'merged' | 'per-expert' | 'fused';
  /** Writes queries, keys and values of a layer as one tensor `attn_qkv`. The weights stay the same. */
  fusedQkv?: boolean;
  /**
   * Factor on everything that attention and experts add to the residual (default 1). With less, the residual changes
   * slowly from layer to layer, as in trained models, so the next layer's router can be predicted.
   */
  residualScale?: number;
  seed: number;
  chatTemplate?: string;
  /** Additional metadata. Replaces default values with the same key. */
  metadata?: Record<string, MetadataValue>;
  /** Adds `rope_freqs.weight`: one factor per pair of a head's dimensions. */
  ropeFactors?: number[];
  /** Writes the same weights dequantized: every tensor in F32, merged layout. */
  f32Twin?: boolean;
}

/** @returns all matrices in one type, except the router, which is F32 */
export const uniformTypes = (type: WeightTypeName): SynthOptions['types'] => ({
  attention: type,
  experts: type,
  down: type,
  embedding: type,
  output: type,
  router: 'F32',
});
