/** The metadata of a synthetic model. */
import { BYTE_CHARACTERS } from '../format/pre-tokenizers.ts';
import type { MetadataValue } from './header-writer.ts';
import type { SynthOptions } from './options.ts';
import { byteBpeVocabulary, synthVocabulary } from './vocabulary.ts';

/** GGUF's number for a user-defined token. */
const USER_DEFINED = 4;

/** All metadata of a model with these options. */
export function synthMetadata(options: SynthOptions): Record<string, MetadataValue> {
  return {
    'general.architecture': { string: 'llama' },
    'general.name': { string: options.name ?? 'synthetic Mixtral' },
    'general.license': { string: 'cc0-1.0' },
    ...shapeMetadata(options),
    ...tokenizerMetadata(options),
    ...(options.chatTemplate !== undefined && { 'tokenizer.chat_template': { string: options.chatTemplate } }),
    ...options.metadata,
  };
}

function shapeMetadata(options: SynthOptions): Record<string, MetadataValue> {
  const headDim = options.headDim ?? options.embeddingLength / options.headCount;
  return {
    'llama.vocab_size': { u32: options.vocabularySize },
    'llama.context_length': { u32: options.contextLength },
    'llama.embedding_length': { u32: options.embeddingLength },
    'llama.block_count': { u32: options.layers },
    'llama.feed_forward_length': { u32: options.feedForwardLength },
    'llama.attention.head_count': { u32: options.headCount },
    'llama.attention.head_count_kv': { u32: options.kvHeadCount },
    'llama.attention.key_length': { u32: headDim },
    'llama.attention.value_length': { u32: headDim },
    'llama.attention.layer_norm_rms_epsilon': { f32: 1e-5 },
    'llama.rope.dimension_count': { u32: headDim },
    'llama.rope.freq_base': { f32: options.ropeFreqBase ?? 1e6 },
    'llama.expert_count': { u32: options.expertCount },
    'llama.expert_used_count': { u32: options.expertsPerToken },
  };
}

function tokenizerMetadata({
  vocabularySize,
  pre,
  spacePrefix,
  userDefined = [],
}: SynthOptions): Record<string, MetadataValue> {
  const isByteBpe = pre !== undefined;
  const vocabulary = isByteBpe ? byteBpeVocabulary(vocabularySize, BYTE_CHARACTERS) : synthVocabulary(vocabularySize);
  const { tokens, scores, tokenTypes } = vocabulary;
  // User-defined tokens replace the vocabulary's last ones.
  for (const [n, piece] of userDefined.entries()) {
    tokens[tokens.length - 1 - n] = piece;
    tokenTypes[tokens.length - 1 - n] = USER_DEFINED;
  }
  return {
    'tokenizer.ggml.model': { string: isByteBpe ? 'gpt2' : 'llama' },
    ...(isByteBpe && { 'tokenizer.ggml.pre': { string: pre } }),
    ...('merges' in vocabulary && { 'tokenizer.ggml.merges': { strings: vocabulary.merges as string[] } }),
    'tokenizer.ggml.tokens': { strings: tokens },
    'tokenizer.ggml.scores': { f32s: scores },
    'tokenizer.ggml.token_type': { i32s: tokenTypes },
    'tokenizer.ggml.bos_token_id': { u32: 1 },
    'tokenizer.ggml.eos_token_id': { u32: 2 },
    'tokenizer.ggml.unknown_token_id': { u32: 0 },
    'tokenizer.ggml.add_bos_token': { bool: true },
    'tokenizer.ggml.add_eos_token': { bool: false },
    'tokenizer.ggml.add_space_prefix': { bool: !isByteBpe && spacePrefix !== false },
  };
}
