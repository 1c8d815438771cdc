/** Reads the model's shape from the metadata. Features that no kernel implements are refused by name. */
import { excerpt, MixtabError } from '../../../src/contract/errors.ts';
import type { ModelConfig, RopeScaling } from '../../../src/contract/import-api.ts';
import { describeValue, Metadata } from './metadata.ts';

/**
 * Largest accepted shape. Attack: a hostile file states a shape that makes us plan millions of records or allocate
 * buffers of many gigabytes. Each limit is well above the largest known model, which the comments name, or is a limit
 * of the kernels.
 */
const LIMITS = {
  layerCount: 512, // 8x22B: 56
  embeddingLength: 65_536, // 8x22B: 6144
  feedForwardLength: 262_144, // 8x22B: 16384
  headCount: 1024, // 8x22B: 48
  headDim: 256, // limit of the attention kernels; Mixtral: 128
  expertCount: 256, // limit of the expert groups per dispatch; Mixtral: 8
  expertsPerToken: 16, // limit of the router kernel's registers; Mixtral: 2
  vocabularySize: 1_000_000, // Mistral's largest: 131072
  contextLength: 2 ** 24, // the longest that any model states: 10,485,760
} as const;

/**
 * Most experts of all layers. Attack: each one becomes a record, and the journal of an import, which lists them, is
 * written again and again. 8x22B has 448, the largest published mixtures about 15,000.
 */
const MAX_EXPERTS = 16_384;

/**
 * Keys (without `llama.`) that change the computation in ways that no kernel implements, and the values that change
 * nothing.
 */
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
 * Reads and checks the model's shape. Keys that old files lack get llama.cpp's defaults.
 * @param name of the file, for messages
 * @throws MixtabError `gguf-unsupported-architecture`, `gguf-unsupported-feature`, `gguf-damaged`
 */
export function readConfig(name: string, values: Record<string, unknown>): ModelConfig {
  const metadata = new Metadata(values);
  checkArchitecture(name, metadata);
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
    expertCount: metadata.number('llama.expert_count'),
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
      `${name} has attention keys and values of different widths, which mixtab does not support.`,
      'Use another file.',
    );
  }
  return config;
}

function checkArchitecture(name: string, metadata: Metadata): void {
  const architecture = metadata.string('general.architecture', 'unknown');
  if (architecture !== 'llama') {
    const shown = excerpt(architecture);
    throw unsupportedArchitecture(name, `its architecture is "${shown}", not Mixtral's ("llama" with experts)`);
  }
  const expertCount = metadata.number('llama.expert_count', 0);
  if (expertCount < 2) throw unsupportedArchitecture(name, 'it is a dense model without experts');
  for (const [suffix, neutral] of Object.entries(UNSUPPORTED_KEYS)) {
    const value = metadata.values[`llama.${suffix}`];
    if (value !== undefined && !neutral.includes(value)) throw unsupported(name, `llama.${suffix}`, value);
  }
}

/** YaRN's attention factor for a context extended by `factor` (arXiv 2309.00071, section 3.4). */
const yarnMagnitude = (factor: number): number => (factor > 1 ? 1 + 0.1 * Math.log(factor) : 1);

/** Reads how rotations are scaled, with llama.cpp's keys and defaults. Undefined if they are not scaled. */
function readRopeScaling(name: string, metadata: Metadata, contextLength: number): RopeScaling | undefined {
  const key = 'llama.rope.scaling.type';
  const type = metadata.string(key, 'linear');
  if (type !== 'none' && type !== 'linear' && type !== 'yarn') throw unsupported(name, key, type);
  // Converters write 0 for "none". Old files have the key scale_linear instead.
  const stated = metadata.number('llama.rope.scaling.factor', metadata.number('llama.rope.scale_linear', 0));
  const factor = type === 'none' || stated === 0 ? 1 : stated;
  if (!(factor > 0 && Number.isFinite(factor))) throw unsupported(name, 'llama.rope.scaling.factor', factor);
  const attention = metadata.number('llama.rope.scaling.attn_factor', 1);
  if (!(attention > 0 && Number.isFinite(attention))) {
    throw unsupported(name, 'llama.rope.scaling.attn_factor', attention);
  }
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
    `${name} has ${key} = ${describeValue(value)}, which mixtab does not support.`,
    'Use another file.',
  );

/** @throws MixtabError `gguf-damaged` if the shape is too large or contradicts itself */
function checkConfig(name: string, config: ModelConfig): void {
  const wrong = (problem: string): MixtabError =>
    new MixtabError('gguf-damaged', `${name} is damaged: ${problem}.`, 'Use another file.');
  for (const [key, limit] of Object.entries(LIMITS)) {
    const value = config[key as keyof typeof LIMITS];
    if (!Number.isInteger(value) || value < 1 || value > limit) {
      throw wrong(`${key} is ${value}, but must be a whole number between 1 and ${limit}`);
    }
  }
  const { headCount, kvHeadCount, headDim, ropeDimensionCount, expertCount, expertsPerToken } = config;
  if (config.layerCount * expertCount > MAX_EXPERTS) {
    throw wrong(`it claims ${config.layerCount} layers of ${expertCount} experts, more than ${MAX_EXPERTS} in all`);
  }
  if (!(Number.isInteger(kvHeadCount) && kvHeadCount >= 1 && headCount % kvHeadCount === 0)) {
    throw wrong(`${headCount} attention heads cannot share ${kvHeadCount} KV heads`);
  }
  if (headDim % 2 !== 0) throw wrong(`the head dimension is ${headDim}, an odd number`);
  if (!(ropeDimensionCount >= 2 && ropeDimensionCount <= headDim && ropeDimensionCount % 2 === 0)) {
    throw wrong(`${ropeDimensionCount} of the ${headDim} dimensions of a head would be rotated`);
  }
  if (expertsPerToken > expertCount) throw wrong(`a token would use ${expertsPerToken} of ${expertCount} experts`);
  if (config.contextLength < 2) throw wrong(`the context length is ${config.contextLength}`);
  if (!(config.ropeFreqBase > 0 && Number.isFinite(config.ropeFreqBase))) {
    throw wrong(`the RoPE base is ${config.ropeFreqBase}`);
  }
  if (!(config.rmsNormEpsilon >= 0 && config.rmsNormEpsilon < 1)) {
    throw wrong(`the epsilon of the norms is ${config.rmsNormEpsilon}`);
  }
}

function unsupportedArchitecture(name: string, reason: string): MixtabError {
  return new MixtabError(
    'gguf-unsupported-architecture',
    `${name} is not a Mixtral model: ${reason}.`,
    'Choose a Mixtral GGUF, for example Mixtral-8x7B-Instruct.',
  );
}
