/** The client library's face: OpenAI's shapes, as far as this engine has what they name. */
import type {
  ChatMessage,
  ExpertsReport,
  LayerRouting,
  LoadedModel,
  LoadProgress,
  LoadRequest,
} from '../contract/engine-api.ts';
import type { ImportProgress, ModelSource, ModelSummary } from '../contract/import-api.ts';

/** What the answer has to be. `strict` changes nothing: answers are always held to the schema. */
export type ResponseFormat =
  | { type: 'text' }
  | { type: 'json_object' }
  | {
      type: 'json_schema';
      json_schema: { name?: string; description?: string; schema: Record<string, unknown>; strict?: boolean | null };
    };

/** Parameters that both kinds of request know. Beside OpenAI's: `top_k`, `min_p`, `repetition_penalty`. */
export interface CommonParams {
  /** Id of a stored model; it is loaded where another one is. Absent: the one that is loaded. */
  model?: string;
  max_tokens?: number;
  temperature?: number;
  top_p?: number;
  top_k?: number;
  min_p?: number;
  presence_penalty?: number;
  frequency_penalty?: number;
  repetition_penalty?: number;
  seed?: number;
  /** Added to the logits, by token id. */
  logit_bias?: Record<string, number>;
  /** Up to four texts that end the answer. */
  stop?: string | string[] | null;
  response_format?: ResponseFormat | null;
  n?: 1;
  stream?: boolean;
  stream_options?: { include_usage?: boolean };
}

export interface ChatParams extends CommonParams {
  messages: ChatMessage[];
  /** OpenAI's newer name of `max_tokens`. */
  max_completion_tokens?: number;
  logprobs?: boolean;
  /** 0 .. 20; needs `logprobs`. */
  top_logprobs?: number;
}

export interface CompletionParams extends CommonParams {
  prompt: string;
  /** How many of the likeliest tokens to report with each token, 0 .. 20. */
  logprobs?: number;
  /** Whether the answer begins with the prompt. */
  echo?: boolean;
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

export type FinishReason = 'stop' | 'length';

export interface TokenLogprobs {
  /** Its text; a part of a character is U+FFFD. */
  token: string;
  /** Its UTF-8. */
  bytes: number[];
  /** Of the model itself: before bias, penalties, temperature and truncation, and whatever the response format. */
  logprob: number;
}

export interface ChatLogprobs {
  content: (TokenLogprobs & { top_logprobs: TokenLogprobs[] })[];
}

export interface CompletionLogprobs {
  tokens: string[];
  token_logprobs: number[];
  top_logprobs: Record<string, number>[];
  text_offset: number[];
}

interface Answer<Kind, Choice> {
  id: string;
  object: Kind;
  /** Seconds since 1970. */
  created: number;
  model: string;
  choices: Choice[];
}

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
  usage: Usage;
}

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
  /** Where it was asked for: null, and in the last chunk, which then has no choices, the figures. */
  usage?: Usage | null;
}

type CompletionChoice<End> = { index: 0; text: string; finish_reason: End; logprobs: CompletionLogprobs | null };

export interface Completion extends Answer<'text_completion', CompletionChoice<FinishReason>> {
  usage: Usage;
}

export interface CompletionChunk extends Answer<'text_completion', CompletionChoice<FinishReason | null>> {
  usage?: Usage | null;
}

export interface CallOptions {
  /** Ends the generation; what is awaited then rejects with `aborted`. */
  signal?: AbortSignal;
}

/** A call that answers whole, or chunk by chunk. Leaving the loop over the chunks ends the generation. */
export interface Create<Params, Whole, Chunk> {
  (params: Params & { stream: true }, options?: CallOptions): Promise<AsyncIterable<Chunk>>;
  (params: Params & { stream?: false }, options?: CallOptions): Promise<Whole>;
}

/** How the routers chose over a text. Indices: token, layer, choice (the first weighs most). */
export interface Routing {
  model: string;
  /** Tokens that were predicted: all but the first. */
  tokens: number;
  /** Mean negative log-likelihood, nats a token. */
  nll: number;
  perplexity: number;
  layers: LayerRouting[];
  /** Text of each token; a character's text comes with its last token. */
  pieces: string[];
  /** Experts that each token chose, by their numbers. */
  choices: number[][][];
}

/** The engine's report of its expert cache as plain data; its counts and times are since the last request began. Indices: layer, expert. */
export interface Metrics extends Omit<ExpertsReport, 'layerCount' | 'expertCount' | 'residence' | 'uses' | 'newest'> {
  model: string;
  /** Where each expert is. */
  residence: ('gpu' | 'ram' | 'store')[][];
  /** Tokens that chose each expert; a prompt counts as one. */
  uses: number[][];
  /** Whether the newest token chose it. */
  newest: boolean[][];
}

export interface RoutingOptions extends CallOptions {
  /** As in requests for text. */
  model?: string;
  onProgress?: (progress: { tokensDone: number; tokensTotal: number }) => void;
}

export interface Mixtab {
  models: {
    list(): Promise<ModelSummary[]>;
    import(
      source: ModelSource,
      options?: CallOptions & { onProgress?: (progress: ImportProgress) => void },
    ): Promise<ModelSummary>;
    remove(id: string): Promise<void>;
    /** Keys of the damaged records. */
    verify(id: string, options?: { onProgress?: (progress: ImportProgress) => void }): Promise<string[]>;
  };
  load(request: LoadRequest, options?: { onProgress?: (progress: LoadProgress) => void }): Promise<LoadedModel>;
  chat: { completions: { create: Create<ChatParams, ChatCompletion, ChatChunk> } };
  completions: { create: Create<CompletionParams, Completion, CompletionChunk> };
  /** How the model's routers choose over a text of at least two tokens. */
  routing(text: string, options?: RoutingOptions): Promise<Routing>;
  /** May be asked for at any time; null where no model is loaded. */
  metrics(): Promise<Metrics | null>;
  /** Ends the workers, or takes the iframe away. */
  close(): void;
}
