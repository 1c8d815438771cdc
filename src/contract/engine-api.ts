/**
 * The worker boundary, written by hand: the engine worker (`EngineApi`), the only owner of the GPU device. Models and the
 * import worker are in import-api.ts.
 */
import type { TokenId } from './ids.ts';
import type { ModelSummary } from './import-api.ts';

export interface AdapterReport {
  vendor: string;
  architecture: string;
  description: string;
  /** True where the adapter is a software implementation (SwiftShader, WARP, llvmpipe). */
  software: boolean;
  features: string[];
  maxStorageBufferBindingSize: number;
  maxBufferSize: number;
}

export interface LoadRequest {
  modelId: string;
  /** Positions the KV cache holds; default: the smaller of the model's context and 4096. */
  context?: number;
  /** Bytes of GPU memory for everything; default: what the model can use and a probe finds. */
  gpuBudgetBytes?: number;
  /** Bytes of main memory for experts that lost their slot; default: a quarter of it, none where the GPU shares it. */
  ramBudgetBytes?: number;
}

export interface LoadProgress {
  phase: 'device' | 'dense' | 'experts' | 'kernels';
  bytesDone: number;
  bytesTotal: number;
}

export interface LoadedModel {
  summary: ModelSummary;
  context: number;
  /** Expert slots over all layers, of `expertCount * layerCount` experts. */
  slots: number;
  memory: { gpuBytes: number; ramBytes: number };
  adapter: AdapterReport;
  loadMs: number;
}

export interface ChatMessage {
  role: 'system' | 'user' | 'assistant';
  content: string;
}

/** All defaults are neutral: temperature 1 and everything else off. */
export interface SamplingOptions {
  /** 0 is greedy. */
  temperature?: number;
  /** 0 is off. */
  topK?: number;
  /** 1 is off. */
  topP?: number;
  /** 0 is off. */
  minP?: number;
  /** 1 is off; divides positive and multiplies negative logits of tokens seen. */
  repetitionPenalty?: number;
  presencePenalty?: number;
  frequencyPenalty?: number;
  /** Same seed, same request, same adapter: same text. Default: random. */
  seed?: number;
  /** Added to the logits of single tokens. */
  logitBias?: Record<number, number>;
}

/** Trades exactness for fewer experts read. Not what the model computes: off unless asked for; `score` measures the cost. */
export interface LossyOptions {
  /** Added to the router logits of experts that are resident, so that they are chosen more often. 0 is exact. */
  residentBias?: number;
  /** Experts but a token's first whose weight is smaller are left out. 0 is exact, 0.5 always drops one of two. */
  skipBelow?: number;
}

/** Another way to choose experts, to see what the router is worth. Not what the model computes; counts for prompts too. */
export interface AblationOptions {
  /** Of the experts chosen for a token, only so many count, the first ones; what they weigh makes 1. */
  expertsUsed?: number;
  /** Experts are drawn at random, by this seed, layer and position; the router still says what each of them weighs. */
  randomSeed?: number;
  /** Experts that are never chosen; each layer keeps at least as many as a token uses. */
  banned?: { layer: number; expert: number }[];
}

/**
 * What an answer has to be: JSON. Tokens that would not go on with it are not picked, whatever their probability, and
 * the answer ends where it is complete; one that is cut off (`length`, a stop text) is the beginning of such JSON.
 */
export interface AnswerFormat {
  type: 'json';
  /** A JSON schema (docs/client.md says how much of it); absent: any object. */
  schema?: Record<string, unknown>;
}

export interface GenerateRequest {
  /**
   * Text to continue, or a conversation (fails with `chat-template` where the model has none). A conversation
   * that ends with words of the assistant has them continued.
   */
  input: { kind: 'text'; text: string } | { kind: 'chat'; messages: ChatMessage[] };
  maxTokens: number;
  sampling?: SamplingOptions;
  /** Generation ends before the first of these texts; it is not part of the answer. */
  stop?: string[];
  /** Go on after the end-of-sequence token. */
  ignoreEos?: boolean;
  /** How many of the likeliest tokens to report with each token, 0 .. 20; given at all, tokens come with their bytes. */
  topLogprobs?: number;
  /** Not together with `ignoreEos`. Each token then waits for the one before. */
  format?: AnswerFormat;
  lossy?: LossyOptions;
  ablation?: AblationOptions;
}

export interface ScoreRequest {
  /** What is scored; of a conversation the template's own words too. */
  input: GenerateRequest['input'];
  /** Tokens in a window, BOS included; windows do not overlap, and every token but the first of each is scored. */
  context: number;
  /** Scores token by token, as decoding does, so that residency matters. Default: exact, whole windows at once. */
  lossy?: LossyOptions;
  ablation?: AblationOptions;
  /** Asks for every token's chosen experts. */
  trace?: boolean;
}

/** How one layer's router chose. */
export interface LayerRouting {
  /** Share of all choices that fell on each expert. */
  use: number[];
  /** Share of consecutive tokens with the same first choice, and with a first or second choice in common. */
  sameFirst: number;
  sameAny: number;
}

export interface ScoreResult {
  /** Tokens scored. */
  tokens: number;
  /** Mean negative log-likelihood, nats a token. */
  nll: number;
  /** exp(nll) */
  perplexity: number;
  /** Of the text that was scored, by its UTF-8 bytes. */
  bitsPerByte: number;
  routing: LayerRouting[];
  cache: CacheReport;
  /** Where asked for. */
  trace?: {
    /** Text of each token, those that lead a window (empty) included. */
    pieces: string[];
    /** u8[pieces, layers, expertsPerToken] */
    selectedExperts: Uint8Array;
  };
  seconds: number;
}

export interface TokenLogprob {
  id: TokenId;
  /** Natural logarithm of the probability before bias, penalties, temperature and truncation, and of all tokens whatever the format. */
  logprob: number;
  /** The token's piece as text, of those that were reported beside the one taken. */
  text?: string;
  /** What the token stands for, as UTF-8, where log-probabilities were asked for; maybe a part of a character. */
  bytes?: number[];
}

export interface GeneratedToken extends TokenLogprob {
  /** The text this token completed; empty while a character is still incomplete. */
  text: string;
  top: TokenLogprob[];
}

export type GenerateEvent =
  | { type: 'prefill'; tokensDone: number; tokensTotal: number }
  /** `rest`: the text was held back until the end, and belongs to a token that was told before. */
  | { type: 'token'; token: GeneratedToken; rest?: true };

export interface CacheReport {
  /** Expert slots over all layers. */
  slots: number;
  hits: number;
  /** Experts that were not resident before the token that used them, read ahead of it or not. */
  misses: number;
  /** Misses that were predicted: their read had begun before the token asked for them. */
  prefetched: number;
  /** hits / (hits + misses); 1 where nothing was asked for. */
  hitRate: number;
  /** Bytes read from the store for experts. */
  bytesRead: number;
  /** Tokens that had to wait for an expert. */
  stalls: number;
}

/** Where a layer's expert is; the highest that holds. */
export const RESIDENCE = { store: 0, ram: 1, gpu: 2 } as const;

/** What the expert cache holds and did, at one moment. Each array: [layers, experts]. */
export interface ExpertsReport {
  layerCount: number;
  expertCount: number;
  /** One of {@link RESIDENCE} each. */
  residence: Uint8Array;
  /** Tokens that chose it since the last request began; a prompt counts as one. */
  uses: Uint32Array;
  /** 1 for those the newest token chose. */
  newest: Uint8Array;
  /** Since the last request began, as is all that follows; the times end with the request. */
  cache: CacheReport;
  /** Tokens of the prompt, or of the text that is scored, that were computed, and the bytes read from the store for them. */
  promptTokens: number;
  promptBytesRead: number;
  /** Tokens written. */
  tokens: number;
  gpuWaitMs: number;
  expertWaitMs: number;
  elapsedMs: number;
  memory: { gpuBytes: number; ramBytes: number };
}

export interface GenerateResult {
  promptTokens: TokenId[];
  /** Of the prompt's tokens, those whose keys and values were in the KV cache: nothing was computed for them. */
  reusedTokens: number;
  tokens: GeneratedToken[];
  text: string;
  finishReason: 'stop' | 'length' | 'aborted';
  timings: {
    prefillMs: number;
    prefillTokensPerSecond: number;
    decodeMs: number;
    decodeTokensPerSecond: number;
    /** Time in which nothing but the GPU was waited for, and in which experts were; the rest of both phases is our own. */
    gpuWaitMs: number;
    expertWaitMs: number;
  };
  cache: CacheReport;
  memory: { gpuBytes: number; ramBytes: number };
}

/** The engine worker. One model is loaded at a time, one generation runs at a time. */
export interface EngineApi {
  /** Asks for an adapter; rejects with a `webgpu-*` code where there is none. */
  probe(): Promise<AdapterReport>;
  load(request: LoadRequest, onProgress: (progress: LoadProgress) => void): Promise<LoadedModel>;
  unload(): Promise<void>;
  generate(request: GenerateRequest, onEvent: (event: GenerateEvent) => void): Promise<GenerateResult>;
  /** Bytes a second at which a stored model's experts are read, two under way, over at least `bytes`; hashes checked before. */
  readRate(modelId: string, bytes: number): Promise<number>;
  /** How well the model predicts a text. */
  score(request: ScoreRequest, onProgress: (tokensDone: number, tokensTotal: number) => void): Promise<ScoreResult>;
  /** What the experts do; may be asked for at any time, while an answer is written too. undefined: no model is loaded. */
  experts(): Promise<ExpertsReport | undefined>;
  /** Ends the running generation after the token in flight; its promise resolves with `aborted`. */
  stop(): Promise<void>;
  /**
   * Keeps the KV cache under a name, the oldest others going for it; returns the bytes written, 0 where there is nothing to
   * keep or it exceeds `budget`. Other calls wait for it; `stop` ends it (`aborted`), and what was kept before still is.
   */
  saveSession(id: string, budget: number): Promise<number>;
  /** Fills the KV cache with what was kept; returns its tokens, 0 where there is none or it does not fit and was dropped. */
  restoreSession(id: string): Promise<number>;
  /** Token ids of `text`, without BOS. Needs a loaded model. */
  tokenize(text: string): Promise<TokenId[]>;
}
