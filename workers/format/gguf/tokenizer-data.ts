/** Reads the vocabulary from a GGUF's metadata. */
import { excerpt, MixtabError } from '../../../src/contract/errors.ts';
import type { TokenizerData } from '../manifest.ts';
import { isPreTokenizer, PRE_TOKENIZERS, type PreTokenizerName } from '../pre-tokenizers.ts';
import { Metadata } from './metadata.ts';

/** Ids of special tokens if the file states none, or one outside the vocabulary, as llama.cpp has them. */
const DEFAULT_IDS = {
  llama: { bos: 1, eos: 2 },
  gpt2: { bos: 11, eos: 11 },
} as const;

/**
 * Most control and user-defined tokens. Attack: every text is searched for each of them, so a vocabulary of a million
 * would take seconds for a message. The largest known vocabularies have some 6,000.
 */
const MAX_SPECIAL_TOKENS = 20_000;
/** Token types that texts are searched for: control and user-defined. */
const SPECIAL_TYPES = [3, 4];

/** Keys of tokens that end an answer, besides the end of the sequence. They have no default. */
const END_KEYS = ['tokenizer.ggml.eot_token_id', 'tokenizer.ggml.eom_token_id'];

/**
 * Reads the vocabulary.
 * @param name of the file, for messages
 * @throws MixtabError `gguf-unsupported-feature` for a tokenizer or pre-tokenizer that is not supported, `gguf-damaged`
 */
export function readTokenizer(name: string, values: Record<string, unknown>): TokenizerData {
  const metadata = new Metadata(values);
  const model = readModel(name, metadata);
  const isByteBpe = model === 'gpt2';
  const pre = isByteBpe ? readPreTokenizer(name, metadata) : 'default';
  const tokens = metadata.array<string>('tokenizer.ggml.tokens', 'string');
  const perToken = (key: string, fallback: number): number[] =>
    readPerToken(name, metadata, { key, count: tokens.length, fallback });
  const specialId = (role: string, fallback: number): number =>
    readSpecialId(name, metadata, { key: `tokenizer.ggml.${role}_token_id`, count: tokens.length, fallback });
  const tokenTypes = perToken('tokenizer.ggml.token_type', 1);
  const specials = tokenTypes.filter((type) => SPECIAL_TYPES.includes(type)).length;
  if (specials > MAX_SPECIAL_TOKENS) {
    throw damaged(name, `it has ${specials} control and user-defined tokens, more than ${MAX_SPECIAL_TOKENS}`);
  }
  const endIds = END_KEYS.filter((key) => metadata.has(key))
    .map((key) => readWholeNumber(name, metadata, key))
    .filter((id) => isInVocabulary(id, tokens.length));
  return {
    model,
    ...(isByteBpe && { pre, merges: metadata.array<string>('tokenizer.ggml.merges', 'string') }),
    tokens,
    scores: perToken('tokenizer.ggml.scores', 0),
    tokenTypes,
    bosId: specialId('bos', DEFAULT_IDS[model].bos),
    eosId: specialId('eos', DEFAULT_IDS[model].eos),
    ...(endIds.length > 0 && { endIds }),
    unknownId: specialId('unknown', 0),
    addBos: metadata.boolean('tokenizer.ggml.add_bos_token', isByteBpe ? PRE_TOKENIZERS[pre].addBos : true),
    addSpacePrefix: !isByteBpe && metadata.boolean('tokenizer.ggml.add_space_prefix', true),
    ...(metadata.has('tokenizer.chat_template') && { chatTemplate: metadata.string('tokenizer.chat_template') }),
  };
}

/**
 * Warnings about ids that are outside the vocabulary. As in llama.cpp, the defaults are used instead of them.
 * @param values metadata of which {@link readTokenizer} has read the vocabulary
 */
export function tokenizerWarnings(values: Record<string, unknown>): string[] {
  const metadata = new Metadata(values);
  const { length } = metadata.array<string>('tokenizer.ggml.tokens', 'string');
  const keys = ['bos', 'eos', 'unknown'].map((role) => `tokenizer.ggml.${role}_token_id`);
  return [...keys, ...END_KEYS]
    .filter((key) => metadata.has(key) && !isInVocabulary(metadata.number(key), length))
    .map((key) => `${key} is ${values[key]}, but the vocabulary has ${length} tokens, so the default is used.`);
}

const isInVocabulary = (id: number, count: number): boolean => id >= 0 && id < count;

/** @throws MixtabError `gguf-damaged` if the default is outside the vocabulary, too */
function readSpecialId(
  name: string,
  metadata: Metadata,
  { key, count, fallback }: { key: string; count: number; fallback: number },
): number {
  const stated = readWholeNumber(name, metadata, key, fallback);
  const id = isInVocabulary(stated, count) ? stated : fallback;
  if (isInVocabulary(id, count)) return id;
  throw damaged(name, `${key} is ${stated}, but its vocabulary has only ${count} tokens`);
}

function readWholeNumber(name: string, metadata: Metadata, key: string, fallback?: number): number {
  const value = metadata.number(key, fallback);
  if (Number.isInteger(value)) return value;
  throw damaged(name, `${key} is ${value}, which is not a whole number`);
}

function damaged(name: string, problem: string): MixtabError {
  return new MixtabError('gguf-damaged', `${name} is damaged: ${problem}.`, 'Use another file.');
}

function readModel(name: string, metadata: Metadata): 'llama' | 'gpt2' {
  const model = metadata.string('tokenizer.ggml.model');
  if (model === 'llama' || model === 'gpt2') return model;
  throw new MixtabError(
    'gguf-unsupported-feature',
    `${name} has a "${excerpt(model)}" tokenizer, which mixtab does not support.`,
    'Use a file with a SentencePiece (llama) or byte-level BPE (gpt2) tokenizer.',
  );
}

function readPreTokenizer(name: string, metadata: Metadata): PreTokenizerName {
  const pre = metadata.string('tokenizer.ggml.pre', 'default');
  if (isPreTokenizer(pre)) return pre;
  throw new MixtabError(
    'gguf-unsupported-feature',
    `${name} has the pre-tokenizer "${excerpt(pre)}" (tokenizer.ggml.pre), which mixtab does not support.`,
    `Use a file with one of ${Object.keys(PRE_TOKENIZERS).join(', ')}.`,
  );
}

/** A list with one number per token, or the fallback for every token if the file has no such list. */
function readPerToken(
  name: string,
  metadata: Metadata,
  { key, count, fallback }: { key: string; count: number; fallback: number },
): number[] {
  if (!metadata.has(key)) return new Array<number>(count).fill(fallback);
  const numbers = metadata.array<number>(key, 'number');
  if (numbers.length === count) return numbers;
  throw damaged(name, `${key} has ${numbers.length} entries for ${count} tokens`);
}
