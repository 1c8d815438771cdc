/** Translates OpenAI's requests into the engine's, and the engine's results into OpenAI's. Pure. */
import type {
  AnswerFormat,
  ChatMessage,
  GeneratedToken,
  GenerateRequest,
  GenerateResult,
  SamplingOptions,
  TokenLogprob,
} from '../contract/engine-api.ts';
import { aborted, MixtabError } from '../contract/errors.ts';
import { ablationOf } from './ablation.ts';
import type {
  ChatLogprobs,
  ChatParams,
  CommonParams,
  CompletionLogprobs,
  CompletionParams,
  FinishReason,
  RequestMessage,
  ResponseFormat,
  TokenLogprobs,
  Usage,
} from './types.ts';

/** Maximum length of an answer if the request sets none: long enough for most, and a bound if the model never stops. */
const DEFAULT_MAX_TOKENS = 1024;
const MAX_STOPS = 4;
/**
 * OpenAI's parameters that this engine lacks, and the values of them that ask for nothing. Others are rejected, because
 * ignoring them would look like support.
 */
const UNSUPPORTED: Record<string, (value: unknown, params: Record<string, unknown>) => boolean> = {
  tools: (value, { tool_choice }) => isEmptyList(value) || tool_choice === 'none',
  tool_choice: (value, { tools }) => value === 'none' || (value === 'auto' && (tools == null || isEmptyList(tools))),
  functions: (value, { function_call }) => isEmptyList(value) || function_call === 'none',
  function_call: (value, { functions }) =>
    value === 'none' || (value === 'auto' && (functions == null || isEmptyList(functions))),
  best_of: (value) => value === 1,
  suffix: (value) => value === '',
  modalities: (value) => Array.isArray(value) && value.every((kind) => kind === 'text'),
  audio: () => false,
};

const isEmptyList = (value: unknown): boolean => Array.isArray(value) && value.length === 0;

/** @throws MixtabError `bad-request` that names the parameter */
export function chatRequest(params: ChatParams): GenerateRequest {
  const { messages, logprobs } = params;
  const top = params.top_logprobs ?? 0;
  if (!Array.isArray(messages) || messages.length === 0) throw bad('messages', 'must contain at least one message');
  if (top > 0 && !logprobs) throw bad('top_logprobs', 'needs logprobs: true');
  return {
    ...common({ ...params, max_tokens: params.max_completion_tokens ?? params.max_tokens }),
    input: { kind: 'chat', messages: messages.map(messageOf) },
    ...(logprobs && { topLogprobs: number('top_logprobs', top, 0, 20) }),
  };
}

/** The roles of messages, and the engine's names for them. */
const ROLES = new Map<unknown, ChatMessage['role']>([
  ['system', 'system'],
  ['developer', 'system'],
  ['user', 'user'],
  ['assistant', 'assistant'],
]);

/** @throws MixtabError `bad-request` that names the message */
function messageOf(message: RequestMessage, index: number): ChatMessage {
  const name = `messages[${index}]`;
  if (typeof message !== 'object' || message === null) throw bad(name, `is ${quote(message)}; it must be an object`);
  const fields = message as unknown as Record<string, unknown>;
  const role = ROLES.get(fields.role);
  if (fields.role === 'tool' || fields.role === 'function') {
    throw bad(name, `has the role ${fields.role}; tools are not supported here`);
  }
  if (!role) throw bad(name, `has the role ${quote(fields.role)}; it must be system, developer, user or assistant`);
  for (const calls of ['tool_calls', 'function_call', 'audio'] as const) {
    if (fields[calls] != null && !isEmptyList(fields[calls])) throw bad(`${name}.${calls}`, 'is not supported here');
  }
  return { role, content: contentOf(name, message.content) };
}

/** The text of a message; parts follow each other directly, as in llama.cpp's server. */
function contentOf(name: string, content: unknown): string {
  if (content === null) return '';
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) throw bad(`${name}.content`, 'must be text, or a list of parts of type text');
  return content
    .map((part: unknown) => {
      const { type, text } = (typeof part === 'object' && part ? part : {}) as { type?: unknown; text?: unknown };
      if (type === 'text' && typeof text === 'string') return text;
      throw bad(`${name}.content`, `has a part of type ${quote(type)}; only text is supported here`);
    })
    .join('');
}

/** @throws MixtabError `bad-request` that names the parameter */
export function completionRequest(params: CompletionParams): GenerateRequest {
  if (typeof params.prompt !== 'string') throw bad('prompt', 'must be a string');
  return {
    ...common(params),
    input: { kind: 'text', text: params.prompt },
    ...(params.logprobs != null && { topLogprobs: number('logprobs', params.logprobs, 0, 20) }),
  };
}

function common(
  params: CommonParams,
): Pick<GenerateRequest, 'maxTokens' | 'sampling' | 'stop' | 'format' | 'ablation'> {
  const given = params as Record<string, unknown>;
  for (const [name, asksForNothing] of Object.entries(UNSUPPORTED)) {
    if (given[name] != null && !asksForNothing(given[name], given)) throw bad(name, 'is not supported here');
  }
  if ((params.n ?? 1) !== 1) throw bad('n', 'can only be 1');
  const stop = params.stop == null ? [] : [params.stop].flat();
  if (stop.length > MAX_STOPS || stop.some((text) => typeof text !== 'string' || text === '')) {
    throw bad('stop', `must be up to ${MAX_STOPS} non-empty strings`);
  }
  return {
    maxTokens: number('max_tokens', params.max_tokens ?? DEFAULT_MAX_TOKENS, 1, 1e9),
    sampling: samplingOf(params),
    ...(stop.length > 0 && { stop }),
    ...formatOf(params.response_format),
    ...ablationOf(params.ablation),
  };
}

function formatOf(format: ResponseFormat | null | undefined): { format?: AnswerFormat } {
  if (format == null || format.type === 'text') return {};
  if (format.type === 'json_object') return { format: { type: 'json' } };
  if (format.type !== 'json_schema')
    throw bad(
      'response_format',
      `has the type ${quote((format as { type: unknown }).type)}; it must be text, json_object or json_schema`,
    );
  const schema = format.json_schema?.schema;
  if (typeof schema !== 'object' || schema === null)
    throw bad('response_format', 'must have the schema in json_schema.schema');
  return { format: { type: 'json', schema } };
}

function samplingOf(params: CommonParams): SamplingOptions {
  const sampling = <Key extends keyof SamplingOptions>(key: Key, name: keyof CommonParams, min: number, max: number) =>
    params[name] == null
      ? {}
      : ({ [key]: number(name, params[name] as number, min, max) } as Pick<SamplingOptions, Key>);
  return {
    ...sampling('temperature', 'temperature', 0, 100),
    ...sampling('topP', 'top_p', 0, 1),
    ...sampling('topK', 'top_k', 0, 1e9),
    ...sampling('minP', 'min_p', 0, 1),
    ...sampling('presencePenalty', 'presence_penalty', -2, 2),
    ...sampling('frequencyPenalty', 'frequency_penalty', -2, 2),
    ...sampling('repetitionPenalty', 'repetition_penalty', 0.01, 100),
    ...seedOf(params.seed),
    ...(params.logit_bias && { logitBias: biases(params.logit_bias) }),
  };
}

/** Any whole number. -1 asks for a random seed, as in llama.cpp. */
function seedOf(seed: unknown): { seed?: number } {
  if (seed == null || seed === -1) return {};
  if (typeof seed !== 'number' || !Number.isInteger(seed))
    throw bad('seed', `is ${quote(seed)}; it must be a whole number`);
  return { seed };
}

function biases(bias: Record<string, number>): Record<number, number> {
  return Object.fromEntries(
    Object.entries(bias).map(([id, value]) => {
      if (!/^\d+$/.test(id)) throw bad('logit_bias', `names the token "${quote(id)}"; tokens are named by their ids`);
      return [Number(id), number('logit_bias', value, -100, 100)];
    }),
  );
}

function number(name: string, value: unknown, min: number, max: number): number {
  if (typeof value !== 'number' || !(value >= min && value <= max))
    throw bad(name, `is ${quote(value)}; it must be a number from ${min} to ${max}`);
  return value;
}

const bad = (name: string, problem: string): MixtabError => new MixtabError('bad-request', `${name} ${problem}.`);

/** A caller's value, cut so that an error message stays readable. */
const quote = (value: unknown): string => String(value).slice(0, 100);

/** Counts the tokens of the prompt and of the answer. */
export function usageOf({ promptTokens, tokens }: GenerateResult): Usage {
  return {
    prompt_tokens: promptTokens.length,
    completion_tokens: tokens.length,
    total_tokens: promptTokens.length + tokens.length,
  };
}

/** @throws MixtabError `aborted` if the generation was stopped */
export function finishReasonOf({ finishReason }: GenerateResult): FinishReason {
  if (finishReason === 'aborted') throw aborted('The generation was stopped.');
  return finishReason;
}

/**
 * A token's text comes from its bytes. Its `text` field is the part of the answer that it completed, which can lack
 * characters that are held back because they could begin a stop text.
 */
function tokenLogprobs({ bytes = [], logprob }: TokenLogprob): TokenLogprobs {
  return { token: new TextDecoder().decode(Uint8Array.from(bytes)), bytes, logprob };
}

/** Log-probabilities in the shape of OpenAI's chat completions. */
export function chatLogprobs(tokens: readonly GeneratedToken[]): ChatLogprobs {
  return {
    content: tokens.map((token) => ({ ...tokenLogprobs(token), top_logprobs: token.top.map(tokenLogprobs) })),
  };
}

/** @param offset characters of the text before these tokens */
export function completionLogprobs(tokens: readonly GeneratedToken[], offset: number): CompletionLogprobs {
  let at = offset;
  return {
    tokens: tokens.map((token) => tokenLogprobs(token).token),
    token_logprobs: tokens.map(({ logprob }) => logprob),
    top_logprobs: tokens.map(({ top }) => Object.fromEntries(top.map(({ text, logprob }) => [text ?? '', logprob]))),
    text_offset: tokens.map(({ text }) => {
      at += text.length;
      return at - text.length;
    }),
  };
}
