/**
 * The public types of the client library. Requests and answers have OpenAI's shape as far as the engine supports it.
 */
import type {
  AblationOptions,
  ChatMessage,
  ComputeKind,
  ExpertsReport,
  LayerRouting,
  LoadedModel,
  LoadProgress,
  LoadRequest,
  Observation,
} from '../contract/engine-api.ts';
import type { ImportProgress, ModelSource, ModelSummary } from '../contract/import-api.ts';

/**
 * The client: models, chat completions and text completions.
 *
 * The engine holds one model and runs one request at a time; further calls wait for their turn. All methods reject with
 * a `MixtabError`.
 *
 * @example
 * ```js
 * const mixtab = await createMixtab({ embedUrl: 'https://host/mixtab/embed.html' });
 * const [model] = await mixtab.models.list();
 * const { choices } = await mixtab.completions.create({ model: model.id, prompt: 'Once upon a time' });
 * console.log(choices[0].text);
 * ```
 */
export interface Mixtab {
  /** The stored models. */
  models: Models;
  /**
   * Loads a stored model. You may choose what computes (`auto`, `gpu` or `cpu`), the context size and the memory
   * budgets. Optional: a request that names a model loads it with the defaults, or as it was loaded before if an error
   * ended it.
   *
   * @example
   * ```js
   * const { compute } = await mixtab.load({ modelId: model.id, compute: 'cpu', threads: 2, ramBudgetBytes: 4e9 });
   * console.log(`${compute.kind} computes: ${compute.reason}`);
   * ```
   * @throws MixtabError `model-not-found`; a `webgpu-*` or a `gpu-*` code if the GPU computes; `wasm-unsupported`,
   *   `ram-budget-too-small`, `out-of-memory` or `worker-failed` if the CPU does. After `out-of-memory`,
   *   `worker-failed`, `gpu-out-of-memory`, `webgpu-device-lost` and `aborted`, no model is loaded.
   */
  load(
    request: LoadRequest,
    options?: CallOptions & { onProgress?: (progress: LoadProgress) => void },
  ): Promise<LoadedModel>;
  /** Chat completions. */
  chat: { completions: ChatCompletions };
  /** Text completions. */
  completions: TextCompletions;
  /**
   * Reports the experts that the model's routers select for each token of a text.
   *
   * @param text at least two tokens long
   * @example
   * ```js
   * const { pieces, choices } = await mixtab.routing('Once upon a time', { model: model.id });
   * console.log(`The first layer sends "${pieces[1]}" to the experts ${choices[1][0].join(' and ')}.`);
   * ```
   * @throws MixtabError `bad-request` if the text is too short; `no-model-loaded`; `aborted`
   */
  routing(text: string, options?: RoutingOptions): Promise<Routing>;
  /**
   * Follows one token of a text through the layers: the router's score of each expert, the selected experts with their
   * weights, how much attention and each expert add to the residual, and what the model would predict if it ended after
   * that layer. The tokens before it in its window are computed first.
   *
   * @param text at least one token long
   * @example
   * ```js
   * const { pieces } = await mixtab.routing('Once upon a time', { model: model.id });
   * const { layers } = await mixtab.observe('Once upon a time', { token: pieces.length - 1 });
   * for (const { selectedExperts, top } of layers) console.log(selectedExperts.join(' and '), '->', top[0].text);
   * ```
   * @throws MixtabError `bad-request` if there is no such token; `no-model-loaded`; `aborted`
   */
  observe(text: string, options: ObserveOptions): Promise<Observed>;
  /**
   * Reports the state of the expert cache. It can be called while an answer is generated.
   *
   * @returns null if no model is loaded
   * @example
   * ```js
   * const metrics = await mixtab.metrics();
   * console.log(`${Math.round(100 * metrics.cache.hitRate)} % of the experts were in memory.`);
   * ```
   */
  metrics(): Promise<Metrics | null>;
  /** Ends the workers, or removes the iframe. With an iframe, pending calls reject with `aborted`. */
  close(): void;
}

/**
 * `mixtab.chat.completions`: answers to a conversation.
 *
 * @example
 * ```js
 * const chunks = await mixtab.chat.completions.create({
 *   model: model.id,
 *   messages: [{ role: 'user', content: 'Hello' }],
 *   stream: true,
 * });
 * for await (const { choices } of chunks) console.log(choices[0].delta.content ?? '');
 * ```
 */
export interface ChatCompletions {
  /** Answers the last message. Rejects with `chat-template` if the model has no chat template. */
  create: Create<ChatParams, ChatCompletion, ChatChunk>;
}

/**
 * `mixtab.completions`: continuations of a text.
 *
 * @example
 * ```js
 * const stop = new AbortController();
 * const { choices } = await mixtab.completions.create(
 *   { model: model.id, prompt: 'Once upon a time', max_tokens: 60, temperature: 0.8 },
 *   { signal: stop.signal },
 * );
 * console.log(choices[0].text, choices[0].finish_reason);
 * ```
 */
export interface TextCompletions {
  /** Continues the prompt. */
  create: Create<CompletionParams, Completion, CompletionChunk>;
}

/** The stored models of the page that runs the engine. */
export interface Models {
  /** Lists the models that are stored completely. Importing a model whose `state` is `damaged` again repairs it. */
  list(): Promise<ModelSummary[]>;
  /**
   * Downloads or copies a GGUF into the browser's storage. Importing a file again resumes an interrupted import.
   *
   * @example
   * ```js
   * const model = await mixtab.models.import(
   *   { kind: 'url', url: 'https://host/mixtral.gguf' },
   *   { onProgress: ({ bytesDone, bytesTotal }) => console.log(bytesDone / bytesTotal) },
   * );
   * ```
   * @throws MixtabError a `gguf-*`, `source-*` or `storage-*` code; `busy` if another import is running; `aborted`
   */
  import(
    source: ModelSource,
    options?: CallOptions & { onProgress?: (progress: ImportProgress) => void },
  ): Promise<ModelSummary>;
  /**
   * Deletes a model.
   *
   * @throws MixtabError `storage-unavailable` if an embedded page reads the model from its site's own storage
   */
  remove(id: string): Promise<void>;
  /**
   * Reads every record of a model and checks its hash.
   *
   * @returns the keys of missing and damaged records; empty if the model is intact
   * @throws MixtabError `model-not-found`; `record-unreadable` if the browser does not answer a read
   */
  verify(id: string, options?: { onProgress?: (progress: ImportProgress) => void }): Promise<string[]>;
  /**
   * Verifies a model and downloads its missing and damaged records again.
   *
   * @example
   * ```js
   * if ((await mixtab.models.verify(model.id)).length > 0) await mixtab.models.repair(model.id);
   * ```
   * @throws MixtabError `model-not-found`; `bad-request` for a model from a local file, which has to be imported again;
   *   a `source-*` code; `busy` if an import is running; `aborted`
   */
  repair(
    id: string,
    options?: CallOptions & { onProgress?: (progress: ImportProgress) => void },
  ): Promise<ModelSummary>;
}

/**
 * The format that an answer must have: any text, any JSON object, or JSON that conforms to a schema.
 *
 * `strict` has no effect, because answers always conform to the schema. `docs/client.md` lists the unsupported
 * keywords.
 *
 * @example
 * ```js
 * const response_format = {
 *   type: 'json_schema',
 *   json_schema: { schema: { type: 'object', properties: { colour: { enum: ['red', 'blue'] } }, required: ['colour'] } },
 * };
 * ```
 */
export type ResponseFormat =
  | { type: 'text' }
  | { type: 'json_object' }
  | {
      type: 'json_schema';
      json_schema: { name?: string; description?: string; schema: Record<string, unknown>; strict?: boolean | null };
    };

/**
 * Parameters of chat completions and text completions. `top_k`, `min_p`, `repetition_penalty` and `ablation` extend
 * OpenAI's.
 */
export interface CommonParams {
  /** Id of a stored model. It is loaded first if it is not the loaded one. Default: the loaded model. */
  model?: string;
  /** Maximum length of the answer in tokens, at least 1. Default: 1024. */
  max_tokens?: number | null;
  /** Sampling temperature, 0 to 100. 0 always picks the most likely token. Default: 1. */
  temperature?: number | null;
  /** Samples from the most likely tokens whose probabilities add up to this, 0 to 1. Default: 1 (off). */
  top_p?: number | null;
  /** Samples from this many of the most likely tokens. Default: 0 (off). */
  top_k?: number | null;
  /** Drops tokens whose probability is below this fraction of the highest one, 0 to 1. Default: 0 (off). */
  min_p?: number | null;
  /** Subtracted once from the logits of tokens that already occurred, -2 to 2. Default: 0. */
  presence_penalty?: number | null;
  /** Subtracted from a token's logit for each time it already occurred, -2 to 2. Default: 0. */
  frequency_penalty?: number | null;
  /**
   * Divides the positive logits and multiplies the negative logits of tokens that already occurred, 0.01 to 100.
   * Default: 1 (off).
   */
  repetition_penalty?: number | null;
  /**
   * Any whole number; -1 is random. The same seed and request on the same adapter give the same text. Default: random.
   */
  seed?: number | null;
  /** Values from -100 to 100 that are added to the logits, by token id. */
  logit_bias?: Record<string, number> | null;
  /** Up to four texts that end the answer. The answer does not contain them. */
  stop?: string | string[] | null;
  /** Changes how experts are selected, to see what the router contributes. Default: as the model selects them. */
  ablation?: AblationOptions | null;
  /** Format of the answer. Default: any text. */
  response_format?: ResponseFormat | null;
  /** Number of answers. Only 1 is supported. */
  n?: 1 | null;
  /** If true, the call resolves with a stream of chunks instead of the whole answer. Default: false. */
  stream?: boolean | null;
  /** `include_usage` adds a last chunk with the token counts. */
  stream_options?: { include_usage?: boolean } | null;
}

/** A message of a request. `developer` is OpenAI's newer name for `system`. */
export interface RequestMessage {
  role: ChatMessage['role'] | 'developer';
  /** The text, or its parts, which follow each other directly. Null is an empty text. */
  content: string | { type: 'text'; text: string }[] | null;
}

/** Parameters of {@link ChatCompletions}. */
export interface ChatParams extends CommonParams {
  /**
   * The conversation, at least one message. If the last message is the assistant's, it is continued. If the chat
   * template requires that user and assistant take turns, neighbours of one role become one message, and a system
   * message is put before the next message of the user.
   */
  messages: RequestMessage[];
  /** OpenAI's newer name for `max_tokens`, which it overrides. */
  max_completion_tokens?: number | null;
  /** Whether to report the log-probability of each token. Default: false. */
  logprobs?: boolean | null;
  /** Number of most likely tokens to report for each token, 0 to 20. Requires `logprobs`. Default: 0. */
  top_logprobs?: number | null;
}

/** Parameters of {@link TextCompletions}. */
export interface CompletionParams extends CommonParams {
  /** The text to continue. */
  prompt: string;
  /** Number of most likely tokens to report for each token, 0 to 20. Default: no log-probabilities at all. */
  logprobs?: number;
  /** Whether the answer begins with the prompt. Default: false. */
  echo?: boolean;
}

/** Token counts of a request. */
export interface Usage {
  /** Tokens of the prompt, including those of the chat template. */
  prompt_tokens: number;
  /** Tokens of the answer. */
  completion_tokens: number;
  /** Sum of the other two. */
  total_tokens: number;
}

/**
 * Why an answer ended: by itself or at a stop text (`stop`), or at its maximum length or the end of the context
 * (`length`).
 */
export type FinishReason = 'stop' | 'length';

/** A token and its log-probability. */
export interface TokenLogprobs {
  /** The token's text. An incomplete character is U+FFFD. */
  token: string;
  /** The token's UTF-8 bytes. */
  bytes: number[];
  /**
   * Natural logarithm of the model's own probability: before bias, penalties, temperature and truncation, and over all
   * tokens whatever the response format.
   */
  logprob: number;
}

/** Log-probabilities of a chat answer. */
export interface ChatLogprobs {
  /** One entry per token. `top_logprobs` has as many entries as were requested. */
  content: (TokenLogprobs & { top_logprobs: TokenLogprobs[] })[];
}

/** Log-probabilities of a text completion. Each array has one entry per token. */
export interface CompletionLogprobs {
  /** Text of each token. */
  tokens: string[];
  /** Log-probability of each token. */
  token_logprobs: number[];
  /** Log-probabilities of the most likely tokens, by their text. */
  top_logprobs: Record<string, number>[];
  /** Character offset of each token in the text. */
  text_offset: number[];
}

/** The fields that all answers and chunks share. */
export interface Answer<Kind, Choice> {
  /** The chunks of one answer have the same id. */
  id: string;
  /** Kind of the answer or chunk, as in OpenAI's API. */
  object: Kind;
  /** Seconds since 1970. */
  created: number;
  /** Id of the model. */
  model: string;
  /** Exactly one entry, or none in the chunk that reports the usage. */
  choices: Choice[];
}

/** A whole chat answer. */
export interface ChatCompletion
  extends Answer<
    'chat.completion',
    {
      index: 0;
      message: { role: 'assistant'; content: string };
      finish_reason: FinishReason;
      logprobs: ChatLogprobs | null;
    }
  > {
  /** Token counts of the request. */
  usage: Usage;
}

/** A part of a streamed chat answer. The `content` of all chunks, joined, is the answer. */
export interface ChatChunk
  extends Answer<
    'chat.completion.chunk',
    {
      index: 0;
      delta: { role?: 'assistant'; content?: string };
      finish_reason: FinishReason | null;
      logprobs: ChatLogprobs | null;
    }
  > {
  /** Only with `include_usage`: the token counts in the last chunk, which has no choices, and null in all others. */
  usage?: Usage | null;
}

/** The only choice of a text completion. */
export type CompletionChoice<End> = {
  index: 0;
  text: string;
  finish_reason: End;
  logprobs: CompletionLogprobs | null;
};

/** A whole text completion. */
export interface Completion extends Answer<'text_completion', CompletionChoice<FinishReason>> {
  /** Token counts of the request. */
  usage: Usage;
}

/** A part of a streamed text completion. The `text` of all chunks, joined, is the completion. */
export interface CompletionChunk extends Answer<'text_completion', CompletionChoice<FinishReason | null>> {
  /** Only with `include_usage`: the token counts in the last chunk, which has no choices, and null in all others. */
  usage?: Usage | null;
}

/** Options of calls that can be cancelled. */
export interface CallOptions {
  /** Aborting it stops the call. The call, or the loop over its chunks, then rejects with code `aborted`. */
  signal?: AbortSignal;
}

/** A method that returns a whole answer, or a stream of chunks if `stream` is true. */
export interface Create<Params, Whole, Chunk> {
  /**
   * Streams the answer. Leaving the loop over the chunks ends the generation.
   *
   * @throws MixtabError `bad-request` that names the parameter; `no-model-loaded`; `aborted`; any code of the engine
   */
  (params: Params & { stream: true }, options?: CallOptions): Promise<AsyncIterable<Chunk>>;
  /**
   * Resolves with the whole answer.
   *
   * @throws MixtabError `bad-request` that names the parameter; `no-model-loaded`; `aborted`; any code of the engine
   */
  (params: Params & { stream?: false | null }, options?: CallOptions): Promise<Whole>;
}

/** The experts that a model's routers select for each token of a text, and how well the model predicts the text. */
export interface Routing {
  /** Id of the model. */
  model: string;
  /** Number of tokens that were scored: all except the first of each context window. */
  tokens: number;
  /** Mean negative log-likelihood in nats per token. */
  nll: number;
  /** Standard error of `nll`, from the spread of `blocks`. Absent for a text that is too short for two blocks. */
  nllError?: number;
  /** `exp(nll)`. */
  perplexity: number;
  /** Consecutive parts of the text, with the scored tokens and the mean negative log-likelihood of each. */
  blocks: { tokens: number; nll: number }[];
  /** Summary of each layer's selections, with their standard errors. */
  layers: LayerRouting[];
  /** How many different paths the tokens took: sets of selected experts in all layers together. */
  paths: number;
  /**
   * Text of each token, starting with the empty text of the BOS token. A character that spans several tokens is the text
   * of the last one.
   */
  pieces: string[];
  /**
   * Selected experts, `choices[token][layer]`, by their index in the layer; the expert with the largest weight first.
   */
  choices: number[][][];
}

/**
 * State of the expert cache as plain data. Counts and times are since the last request began. Nested arrays are indexed
 * `[layer][expert]`.
 */
export interface Metrics extends Omit<ExpertsReport, 'layerCount' | 'expertCount' | 'residence' | 'uses' | 'newest'> {
  /** Id of the model. */
  model: string;
  /** What computes. */
  compute: ComputeKind;
  /** The fastest memory that holds each expert. `gpu` occurs only if the GPU computes. */
  residence: ('gpu' | 'ram' | 'store')[][];
  /** Number of tokens that selected each expert. The whole prompt counts as one token. */
  uses: number[][];
  /** Whether the newest token selected the expert. */
  newest: boolean[][];
}

/** One token of a text in every layer, as plain data. */
export interface Observed extends Observation {
  /** Id of the model. */
  model: string;
  /** Index of the token in `pieces` of {@link Routing}. */
  token: number;
}

/** Options of {@link Mixtab.observe}. */
export interface ObserveOptions extends RoutingOptions {
  /** Index of the token in `pieces` of {@link Routing}, with the same `context`. */
  token: number;
  /** How many of the likeliest next tokens to report after each layer, 1 to 20. Default: 5. */
  top?: number;
}

/** Options of {@link Mixtab.routing}. */
export interface RoutingOptions extends CallOptions {
  /** Id of a stored model. It is loaded first if it is not the loaded one. Default: the loaded model. */
  model?: string;
  /**
   * Tokens per window, including BOS, from 2 to the loaded context. A longer text is read in windows that know nothing
   * of each other. Default: the loaded context. The experts page and `perplexity` use 512.
   */
  context?: number;
  /**
   * Changes how experts are selected, as in the laboratory of the experts page. Default: as the model selects them.
   *
   * @example
   * ```js
   * const text = 'Once upon a time there was a ship.';
   * const exact = await mixtab.routing(text, { context: 512 });
   * const top1 = await mixtab.routing(text, { context: 512, ablation: { expertsUsed: 1 } });
   * console.log(`One expert per token instead of two: ${exact.perplexity} -> ${top1.perplexity}`);
   * ```
   */
  ablation?: AblationOptions | null;
  /** Called after each part of the text has been scored. */
  onProgress?: (progress: { tokensDone: number; tokensTotal: number }) => void;
}
