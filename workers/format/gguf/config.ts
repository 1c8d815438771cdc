/** The model's shape and its vocabulary, from the metadata. What is asked for and not supported is refused by name. */

import { MixtabError } from '../../../src/contract/errors.ts';
import type { ModelConfig, RopeScaling } from '../../../src/contract/import-api.ts';
import type { TokenizerData } from '../manifest.ts';
import { isPreTokenizer, PRE_TOKENIZERS } from '../pre-tokenizers.ts';
import { Metadata } from './metadata.ts';

/** Largest numbers we accept, each some times what the largest known model has: a hostile file must not make us allocate more. */
const LIMITS = {
  layerCount: 512, // 8x22B: 56
  embeddingLength: 65_536, // 8x22B: 6144
  feedForwardLength: 262_144, // 8x22B: 16384
  headCount: 1024, // 8x22B: 48
  headDim: 256, // kernels' limit; Mixtral: 128
  expertCount: 256, // expert groups of a dispatch; Mixtral: 8
  expertsPerToken: 16, // router kernel's registers; Mixtral: 2
  vocabularySize: 1_000_000, // Mistral's largest: 131072
} as const;

/** Keys that change the computation in ways no kernel of ours implements, with the values that change nothing. */
const UNSUPPORTED_KEYS: Record<string, readonly unknown[]> = {
  'attention.sliding_window': [0],
  'attention.clamp_kqv': [0],
  'attention.scale': [0],
  'attention.max_alibi_bias': [0],
  'attention.causal': [true],
  attn_logit_softcapping: [0],
  final_logit_softcapping: [0],
  router_logit_softcapping: [0],
  logit_scale: [0, 1],
  embedding_scale: [0, 1],
  residual_scale: [0, 1],
  use_parallel_residual: [false],
  expert_shared_count: [0],
  expert_group_count: [0, 1],
  expert_weights_scale: [0, 1],
  expert_weights_norm: [true],
  expert_gating_func: [0, 1], // 1 is softmax
  moe_every_n_layers: [0, 1],
  interleave_moe_layer_step: [0, 1],
  'rope.dimension_sections': [],
  'rope.scaling.alpha': [0],
  'rope.scaling.yarn_log_multiplier': [0],
  'rope.scaling.yarn_ext_factor': [-1, 1],
  'rope.scaling.yarn_attn_factor': [1],
  'rope.scaling.yarn_beta_fast': [32],
  'rope.scaling.yarn_beta_slow': [1],
};

/**
 * @param name of the file, for messages
 * @throws MixtabError `gguf-unsupported-architecture`, `gguf-unsupported-feature`, `gguf-damaged`
 */
export function readConfig(name: string, values: Record<string, unknown>): ModelConfig {
  const metadata = new Metadata(values);
  const architecture = metadata.string('general.architecture', 'unknown');
  if (architecture !== 'llama') {
    throw unsupportedArchitecture(name, `its architecture is "${architecture}", not Mixtral's ("llama" with experts)`);
  }
  const expertCount = metadata.number('llama.expert_count', 0);
  if (expertCount < 2) throw unsupportedArchitecture(name, 'it has no experts, so it is a dense model');
  for (const [suffix, neutral] of Object.entries(UNSUPPORTED_KEYS)) {
    const value = values[`llama.${suffix}`];
    if (value !== undefined && !neutral.includes(value)) throw unsupported(name, `llama.${suffix}`, value);
  }
  const embeddingLength = metadata.number('llama.embedding_length');
  const headCount = metadata.number('llama.attention.head_count');
  const headDim = metadata.number('llama.attention.key_length', embeddingLength / headCount);
  const contextLength = metadata.number('llama.context_length');
  const ropeScaling = readRopeScaling(name, metadata, contextLength);
  const config: ModelConfig = {
    layerCount: metadata.number('llama.block_count'),
    embeddingLength,
    feedForwardLength: metadata.number('llama.feed_forward_length'),
    headCount,
    kvHeadCount: metadata.number('llama.attention.head_count_kv', headCount),
    headDim,
    expertCount,
    expertsPerToken: metadata.number('llama.expert_used_count'),
    vocabularySize: metadata.array<string>('tokenizer.ggml.tokens', 'string').length,
    contextLength,
    ropeDimensionCount: metadata.number('llama.rope.dimension_count', headDim),
    ropeFreqBase: metadata.number('llama.rope.freq_base', 10_000),
    ...(ropeScaling && { ropeScaling }),
    rmsNormEpsilon: metadata.number('llama.attention.layer_norm_rms_epsilon'),
  };
  checkConfig(name, config);
  if (metadata.number('llama.attention.value_length', headDim) !== headDim) {
    throw new MixtabError(
      'gguf-unsupported-feature',
      `${name} has values and keys of different widths.`,
      'Use another file.',
    );
  }
  return config;
}

/** YaRN's magnitude for a context stretched by `factor`, from its paper (2309.00071, section 3.4). */
const yarnMagnitude = (factor: number): number => (factor > 1 ? 1 + 0.1 * Math.log(factor) : 1);

/** Keys and defaults as llama.cpp reads them; undefined where nothing is scaled. */
function readRopeScaling(name: string, metadata: Metadata, contextLength: number): RopeScaling | undefined {
  const key = 'llama.rope.scaling.type';
  const type = metadata.string(key, 'linear');
  if (type !== 'none' && type !== 'linear' && type !== 'yarn') throw unsupported(name, key, type);
  // 0 is how converters write "none"; old files have another key.
  const stated = metadata.number('llama.rope.scaling.factor', metadata.number('llama.rope.scale_linear', 0));
  const factor = type === 'none' || stated === 0 ? 1 : stated;
  if (!(factor > 0 && Number.isFinite(factor))) throw unsupported(name, 'llama.rope.scaling.factor', factor);
  const attention = metadata.number('llama.rope.scaling.attn_factor', 1);
  if (!(attention > 0 && Number.isFinite(attention)))
    throw unsupported(name, 'llama.rope.scaling.attn_factor', attention);
  const magnitude = attention * (type === 'yarn' ? yarnMagnitude(factor) : 1);
  if (factor === 1 && magnitude === 1) return undefined;
  const original = 'llama.rope.scaling.original_context_length';
  const originalContextLength = metadata.number(original, 0) || contextLength;
  if (!(originalContextLength >= 1)) throw unsupported(name, original, originalContextLength);
  return { type: type === 'yarn' ? 'yarn' : 'linear', factor, originalContextLength, magnitude };
}

const unsupported = (name: string, key: string, value: unknown): MixtabError =>
  new MixtabError(
    'gguf-unsupported-feature',
    `${name} asks for ${key} = ${String(value)}, which mixtab does not support.`,
    'Use another file.',
  );

function checkConfig(name: string, config: ModelConfig): void {
  const wrong = (what: string): MixtabError =>
    new MixtabError('gguf-damaged', `${name} is damaged: ${what}.`, 'Use another file.');
  for (const [key, limit] of Object.entries(LIMITS)) {
    const value = config[key as keyof typeof LIMITS];
    if (!Number.isInteger(value) || value < 1 || value > limit)
      throw wrong(`${key} is ${value}, not between 1 and ${limit}`);
  }
  const { headCount, kvHeadCount, headDim, ropeDimensionCount, expertCount, expertsPerToken } = config;
  if (!(Number.isInteger(kvHeadCount) && kvHeadCount >= 1 && headCount % kvHeadCount === 0)) {
    throw wrong(`${headCount} heads cannot share ${kvHeadCount} KV heads`);
  }
  if (headDim % 2 !== 0) throw wrong(`heads are ${headDim} wide, an odd number`);
  if (!(ropeDimensionCount >= 2 && ropeDimensionCount <= headDim && ropeDimensionCount % 2 === 0)) {
    throw wrong(`${ropeDimensionCount} of a head's ${headDim} dimensions are to be rotated`);
  }
  if (expertsPerToken > expertCount) throw wrong(`${expertsPerToken} of ${expertCount} experts are used`);
  if (!(config.contextLength >= 2)) throw wrong(`the context is ${config.contextLength}`);
  if (!(config.ropeFreqBase > 0 && Number.isFinite(config.ropeFreqBase)))
    throw wrong(`the rope base is ${config.ropeFreqBase}`);
  if (!(config.rmsNormEpsilon >= 0 && config.rmsNormEpsilon < 1))
    throw wrong(`the norm epsilon is ${config.rmsNormEpsilon}`);
}

function unsupportedArchitecture(name: string, why: string): MixtabError {
  return new MixtabError(
    'gguf-unsupported-architecture',
    `${name} is no Mixtral: ${why}.`,
    'Choose a Mixtral GGUF, for example Mixtral-8x7B-Instruct.',
  );
}

/** @throws MixtabError `gguf-unsupported-feature` for a tokenizer other than SentencePiece's BPE */
export function readTokenizer(name: string, values: Record<string, unknown>): TokenizerData {
  const metadata = new Metadata(values);
  const model = metadata.string('tokenizer.ggml.model');
  if (model !== 'llama' && model !== 'gpt2') {
    throw new MixtabError(
      'gguf-unsupported-feature',
      `${name} has a "${model}" tokenizer, which mixtab does not support.`,
      'Use another file.',
    );
  }
  const tokens = metadata.array<string>('tokenizer.ggml.tokens', 'string');
  const list = (key: string, fallback: number): number[] => {
    const numbers = metadata.has(key)
      ? metadata.array<number>(key, 'number')
      : new Array<number>(tokens.length).fill(fallback);
    if (numbers.length === tokens.length) return numbers;
    throw new MixtabError(
      'gguf-damaged',
      `${name} is damaged: ${key} has ${numbers.length} entries for ${tokens.length} tokens.`,
      'Use another file.',
    );
  };
  const bytePairs = model === 'gpt2';
  const pre = bytePairs ? metadata.string('tokenizer.ggml.pre', 'default') : 'default';
  if (!isPreTokenizer(pre)) {
    throw new MixtabError(
      'gguf-unsupported-feature',
      `${name}'s vocabulary cuts words in a way that mixtab does not know (tokenizer.ggml.pre is "${pre}").`,
      `Use a file with one of ${Object.keys(PRE_TOKENIZERS).join(', ')}.`,
    );
  }
  const endIds = ['tokenizer.ggml.eot_token_id', 'tokenizer.ggml.eom_token_id']
    .filter((key) => metadata.has(key))
    .map((key) => metadata.number(key));
  return {
    model,
    ...(bytePairs && { pre, merges: metadata.array<string>('tokenizer.ggml.merges', 'string') }),
    tokens,
    scores: list('tokenizer.ggml.scores', 0),
    tokenTypes: list('tokenizer.ggml.token_type', 1),
    bosId: metadata.number('tokenizer.ggml.bos_token_id', bytePairs ? 11 : 1),
    eosId: metadata.number('tokenizer.ggml.eos_token_id', bytePairs ? 11 : 2),
    ...(endIds.length > 0 && { endIds }),
    unknownId: metadata.number('tokenizer.ggml.unknown_token_id', 0),
    addBos: metadata.boolean('tokenizer.ggml.add_bos_token', bytePairs ? PRE_TOKENIZERS[pre].addBos : true),
    addSpacePrefix: !bytePairs && metadata.boolean('tokenizer.ggml.add_space_prefix', true),
    ...(metadata.has('tokenizer.chat_template') && { chatTemplate: metadata.string('tokenizer.chat_template') }),
  };
}
