/** The interface of the engine worker, which alone computes. Models and the import worker are in import-api.ts. */
import type { ErrorData } from './errors.ts';
import type { TokenId } from './ids.ts';
import type { ModelSummary } from './import-api.ts';

/** The WebGPU adapter, as the browser describes it. */
export interface AdapterReport {
  vendor: string;
  architecture: string;
  description: string;
  /** True for a software implementation (SwiftShader, WARP, llvmpipe). */
  software: boolean;
  features: string[];
  /** Limit of the adapter, in bytes. */
  maxStorageBufferBindingSize: number;
  /** Limit of the adapter, in bytes. */
  maxBufferSize: number;
  /** The name of the GPU that the browser offers to programs that save power, if it is another one. */
  other?: string;
}

/** What computes: WebGPU kernels, or WebAssembly on the CPU. */
export type ComputeKind = 'gpu' | 'cpu';

/** Which of them computes a model, and why. */
export interface ComputeReport {
  kind: ComputeKind;
  /**
   * `requested` by the load request, or chosen automatically: there is a `gpu`; the only adapter is a `software-gpu`;
   * there is `no-gpu`; the `gpu-failed` twice; or it computes `gpu-wrong-values`.
   */
  reason: 'requested' | 'gpu' | 'software-gpu' | 'no-gpu' | 'gpu-failed' | 'gpu-wrong-values';
  /** Workers that compute, including the engine's own; CPU only. */
  threads?: number;
}

/** What this browser offers for computing. */
export interface ProbeReport {
  /** Absent if the browser has no WebGPU or no adapter. */
  adapter?: AdapterReport;
  /** Why there is no adapter. */
  gpuError?: ErrorData;
  /** Why WebAssembly cannot compute: it is blocked by a policy, or lacks SIMD. */
  cpuError?: ErrorData;
  /** What `auto` would choose; absent if neither can compute. */
  automatic?: ComputeReport;
}

/** A chat format that can be chosen by hand: `[INST]` of Mistral, `<|im_start|>` of ChatML, `### Instruction:` of Alpaca. */
export type ChatFormat = 'mistral' | 'chatml' | 'alpaca';

/** Which model to load, and how much memory it may use. */
export interface LoadRequest {
  /** Id of a stored model. */
  modelId: string;
  /** Default: `auto`, a real GPU if there is one, else the CPU. */
  compute?: ComputeKind | 'auto';
  /** Format of conversations, instead of the chat template of the model's file. Default: the file's, if it has one. */
  chatFormat?: ChatFormat;
  /** CPU only: how many workers compute; default: as many as there are cores, or fewer for a small model. */
  threads?: number;
  /** Tokens that the KV cache can hold; default: the context length the model was trained for, at most 4096. */
  context?: number;
  /** Total bytes of GPU memory; default: as much as the model can use, limited by what a probe finds. */
  gpuBudgetBytes?: number;
  /**
   * On the GPU: bytes of main memory for evicted experts; default: half of main memory (a quarter if it is small), or 0
   * if the GPU shares it. If `compute` is `cpu`: total bytes of main memory for the model; default: as much as it can
   * use, at most half of main memory.
   */
  ramBudgetBytes?: number;
  /** Total bytes of main memory for the model if `compute` is `auto` and the CPU is chosen; default as above. */
  cpuBudgetBytes?: number;
}

/** Progress of loading a model. */
export interface LoadProgress {
  /** Requesting the GPU device or starting threads, loading dense weights, loading experts, compiling kernels. */
  phase: 'device' | 'dense' | 'experts' | 'kernels';
  bytesDone: number;
  bytesTotal: number;
}

/** The loaded model, what computes it, and the memory that it takes. */
export interface LoadedModel {
  summary: ModelSummary;
  /** Tokens that the KV cache can hold. */
  context: number;
  /** Number of experts that fit in memory (of the GPU if it computes) at once, out of `expertCount * layerCount`. */
  slots: number;
  /** `gpuBytes` is 0 if the CPU computes. */
  memory: { gpuBytes: number; ramBytes: number };
  compute: ComputeReport;
  /** Absent if the CPU computes and the browser has no adapter. */
  adapter?: AdapterReport;
  /** Milliseconds that loading took. */
  loadMs: number;
}

/** One message of a conversation. */
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
  /** 1 is off. Divides positive and multiplies negative logits of tokens that occurred before. */
  repetitionPenalty?: number;
  presencePenalty?: number;
  frequencyPenalty?: number;
  /** Any whole number; -1 is random. The same seed, request and adapter give the same text. Default: random. */
  seed?: number;
  /** Added to the logits of single tokens, by token id. */
  logitBias?: Record<number, number>;
}

/**
 * Trades exactness for fewer reads of experts. The result differs from the exact model's; `score` measures by how much.
 * Default: off.
 */
export interface LossyOptions {
  /** Added to the router logits of resident experts, so that they are selected more often. 0 is exact. */
  residentBias?: number;
  /**
   * Experts with a smaller routing weight are skipped, except a token's first. 0 is exact; 0.5 always skips one of two.
   */
  skipBelow?: number;
}

/**
 * Changes how experts are selected, to see what the router contributes. Applies to prompts too, unlike `LossyOptions`.
 * The weights of the experts that are used come from the router's own scores of the selected ones, and add up to 1.
 */
export interface AblationOptions {
  /** Uses only this many of a token's experts, counted from the router's first choice. */
  expertsUsed?: number;
  /** Leaves out this many of them, again from the first choice: with 1, of two only the second choice is used. */
  choicesSkipped?: number;
  /** Draws experts at random, by this seed, layer and position. */
  randomSeed?: number;
  /**
   * Adds noise to the router's scores, close to a normal distribution with the standard deviation `amount` (0 .. 1000).
   * It depends on seed, layer, position and expert.
   */
  noise?: { amount: number; seed: number };
  /** Experts that are never selected. Each layer must keep at least as many as a token uses. Default: in every layer. */
  banned?: { layer?: number; expert: number }[];
  /**
   * When `expert` is selected, `by` computes in its place, with its weight. Two entries swap two experts; one without
   * `expert` leaves one expert for all. Default: every expert, in every layer.
   */
  replaced?: { layer?: number; expert?: number; by: number }[];
}

/**
 * Constrains an answer to JSON. Tokens that would break the format are not sampled, whatever their probability. The
 * answer ends when it is complete; an answer that is cut off (by its length or a stop text) is the beginning of such
 * JSON.
 */
export interface AnswerFormat {
  type: 'json';
  /** A JSON schema; docs/client.md lists the supported keywords. Default: any object. */
  schema?: Record<string, unknown>;
}

/** What to generate, and how. */
export interface GenerateRequest {
  /**
   * Text to continue, or a conversation (fails with `chat-template` if the model has none). If a conversation ends with
   * a message of the assistant, that message is continued.
   */
  input: { kind: 'text'; text: string } | { kind: 'chat'; messages: ChatMessage[] };
  /** Maximum length of the answer. */
  maxTokens: number;
  sampling?: SamplingOptions;
  /** The answer ends before the first occurrence of one of these texts. */
  stop?: string[];
  /** Continues after the end-of-sequence token. */
  ignoreEos?: boolean;
  /**
   * How many of the most likely tokens to report with each token, 0 .. 20. If given, even as 0, tokens include their
   * bytes.
   */
  topLogprobs?: number;
  /**
   * Cannot be combined with `ignoreEos`. Slows decoding down: no token is submitted before the previous one is known.
   */
  format?: AnswerFormat;
  lossy?: LossyOptions;
  ablation?: AblationOptions;
  /**
   * The tokens of this answer so far, as they were reported, if it was interrupted, for example by a lost device. With
   * the same request and seed, the answer continues as if nothing had happened. Only new tokens are reported; the
   * result holds the whole answer.
   */
  resume?: GeneratedToken[];
}

/** The text whose perplexity is measured, and how. */
export interface ScoreRequest {
  /** The text to score; of a conversation, the text that the chat template adds is scored too. */
  input: GenerateRequest['input'];
  /** Tokens per window, including BOS. Windows do not overlap. Every token of a window but the first is scored. */
  context: number;
  /**
   * If given, scores token by token as decoding does, so that residency matters. Default: exact, whole windows at once.
   */
  lossy?: LossyOptions;
  ablation?: AblationOptions;
  /** Requests the selected experts of every token. */
  trace?: boolean;
}

/** Statistics of one layer's router. */
export interface LayerRouting {
  /** Share of all selections, per expert. Sums to 1. */
  use: number[];
  /** Share of consecutive tokens with the same first expert. */
  sameFirst: number;
  /** Share of consecutive tokens with at least one selected expert in common. */
  sameAny: number;
  /** `sameFirst` if tokens of this text followed each other in random order: the sum of squared shares of first choices. */
  randomFirst: number;
  /** `sameAny` if tokens of this text followed each other in random order. */
  randomAny: number;
  /**
   * Standard errors of the shares, from the spread of `blocks` consecutive parts of the text. Absent for a text that is
   * too short for two parts.
   */
  errors?: { blocks: number; use: number[]; sameFirst: number; sameAny: number };
}

/** How well the model predicts a text, and which experts it used. */
export interface ScoreResult {
  /** Tokens scored. */
  tokens: number;
  /** Mean negative log-likelihood in nats per token. */
  nll: number;
  /** exp(nll) */
  perplexity: number;
  /** Negative log-likelihood of the scored text, in bits per UTF-8 byte. */
  bitsPerByte: number;
  /**
   * Consecutive parts of the text, which are the same for every `context`: their scored tokens and mean negative
   * log-likelihood. The spread of the parts says how certain the mean is.
   */
  blocks: { tokens: number; nll: number }[];
  /** Standard error of `nll`, from the spread of `blocks`. Absent for a text that is too short for two parts. */
  nllError?: number;
  routing: LayerRouting[];
  /** How many different paths the tokens took: sets of selected experts in all layers together. */
  paths: number;
  cache: CacheReport;
  /** Present if the request asked for it. */
  trace?: {
    /** Text of each token; empty for the BOS of each window. */
    pieces: string[];
    /** u8[pieces, layers, expertsPerToken] */
    selectedExperts: Uint8Array;
  };
  seconds: number;
}

/** Which token of a text to observe on its way through the layers. */
export interface ObserveRequest {
  /** As in {@link ScoreRequest}, and cut into the same windows. */
  input: GenerateRequest['input'];
  context: number;
  /** Its index among the tokens of all windows, BOS included, as in `trace` of {@link ScoreResult}. */
  token: number;
  ablation?: AblationOptions;
  /** How many of the likeliest next tokens to report after each layer, 1 .. 20. Default: 5. */
  top?: number;
}

/** One token in one layer. Lengths are Euclidean lengths of vectors with `embeddingLength` numbers. */
export interface ObservedLayer {
  /** The router's score of each expert, before the softmax. */
  routerLogits: number[];
  /** The experts with the largest scores, best first. */
  selectedExperts: number[];
  /** The softmax of the scores of these experts; sums to 1. */
  weights: number[];
  /** Length of the residual that enters the layer. */
  before: number;
  /** Length of what attention adds to it. */
  attention: number;
  /** Length of what each selected expert adds to it, after its weight. */
  experts: number[];
  /** Length of the residual after the layer. */
  residual: number;
  /** What the model would predict as the next token if the output head followed this layer, likeliest first. */
  top: TokenLogprob[];
  /** The same for the token that follows in the text, and how many tokens are likelier. Absent for the last token. */
  next?: { logprob: number; rank: number };
}

/** What one token is in every layer. */
export interface Observation {
  /** Its position in its window. */
  position: number;
  /** Its text, and that of the token that follows; empty for BOS. */
  piece: string;
  nextPiece?: string;
  layers: ObservedLayer[];
}

/** A token and its log-probability. */
export interface TokenLogprob {
  id: TokenId;
  /** Natural logarithm of the model's own probability, before bias, penalties, temperature, truncation and format. */
  logprob: number;
  /** The token's piece as text; only for the tokens in `top`. */
  text?: string;
  /** The token's UTF-8 bytes, which may be part of a character. Present if the request has `topLogprobs`. */
  bytes?: number[];
}

/** A token of an answer. */
export interface GeneratedToken extends TokenLogprob {
  /** The text that this token completed; empty while a character is incomplete. */
  text: string;
  /** The most likely tokens, most likely first. */
  top: TokenLogprob[];
}

/** Progress of a `generate` call. */
export type GenerateEvent =
  | { type: 'prefill'; tokensDone: number; tokensTotal: number }
  /** `rest`: text that was held back until the end. It belongs to the last token, which was reported before. */
  | { type: 'token'; token: GeneratedToken; rest?: true };

/** Counts of the expert cache. */
export interface CacheReport {
  /** Expert slots over all layers. */
  slots: number;
  /** Selected experts that were resident before their token. */
  hits: number;
  /** Selected experts that were not resident before their token, whether they were prefetched or not. */
  misses: number;
  /** Misses that were predicted: their read had begun before their router selected them. */
  prefetched: number;
  /** hits / (hits + misses); 1 if both are 0. */
  hitRate: number;
  /** Bytes read from the store for experts. */
  bytesRead: number;
  /** Tokens that had to wait for an expert. */
  stalls: number;
}

/** Where an expert is: the fastest memory that holds it. If the CPU computes, slots are in `ram`. */
export const RESIDENCE = { store: 0, ram: 1, gpu: 2 } as const;

/** A snapshot of the expert cache. Each array is [layerCount, expertCount]. */
export interface ExpertsReport {
  layerCount: number;
  expertCount: number;
  /** One of {@link RESIDENCE} per expert. */
  residence: Uint8Array;
  /** How many tokens selected each expert since the last request began; a whole prompt counts as one token. */
  uses: Uint32Array;
  /** 1 for the experts that the newest token selected. */
  newest: Uint8Array;
  /** This and the fields below count from the start of the last request. The times stop when it ends. */
  cache: CacheReport;
  /** Tokens of the prompt, or of the text to score, that were computed. */
  promptTokens: number;
  /** Bytes read from the store for these tokens. */
  promptBytesRead: number;
  /** Tokens of the answer. */
  tokens: number;
  /** Time spent waiting for the GPU or the CPU's workers to compute, without waits for experts. */
  computeMs: number;
  /** Time spent waiting for experts. */
  expertWaitMs: number;
  elapsedMs: number;
  memory: { gpuBytes: number; ramBytes: number };
}

/** A finished answer, with its timings. */
export interface GenerateResult {
  promptTokens: TokenId[];
  /** Tokens of the prompt that were already in the KV cache and did not have to be computed. */
  reusedTokens: number;
  tokens: GeneratedToken[];
  text: string;
  finishReason: 'stop' | 'length' | 'aborted';
  timings: {
    prefillMs: number;
    prefillTokensPerSecond: number;
    decodeMs: number;
    decodeTokensPerSecond: number;
    /**
     * Time spent waiting for the GPU or the CPU's workers to compute, without waits for experts. What remains of both
     * phases is the engine's own CPU time.
     */
    computeMs: number;
    /** Time spent waiting for experts. */
    expertWaitMs: number;
  };
  cache: CacheReport;
  memory: { gpuBytes: number; ramBytes: number };
}

/**
 * The engine worker. At most one model is loaded. Only one of `load`, `unload`, `generate`, `score`, `observe` and
 * `readRate` runs at a time: a second call fails with `busy`.
 */
export interface EngineApi {
  /** Finds out what can compute. Does not reject if nothing can: the report says why. */
  probe(): Promise<ProbeReport>;
  /** Loads a model, replacing the loaded one. */
  load(request: LoadRequest, onProgress: (progress: LoadProgress) => void): Promise<LoadedModel>;
  unload(): Promise<void>;
  /** Generates an answer. Needs a loaded model. */
  generate(request: GenerateRequest, onEvent: (event: GenerateEvent) => void): Promise<GenerateResult>;
  /**
   * Measures how fast a stored model's experts are read, two at a time, over at least `bytes` bytes. A first pass
   * checks the hashes and is not measured. Returns bytes per second.
   */
  readRate(modelId: string, bytes: number): Promise<number>;
  /** Measures how well the model predicts a text. Needs a loaded model; rejects with `aborted` after `stop`. */
  score(request: ScoreRequest, onProgress: (tokensDone: number, tokensTotal: number) => void): Promise<ScoreResult>;
  /**
   * Takes a token, after the tokens before it in its window, through all layers and reports what it is in each. Needs a
   * loaded model; rejects with `aborted` after `stop`. Of the progress, the token itself is the last.
   */
  observe(request: ObserveRequest, onProgress: (tokensDone: number, tokensTotal: number) => void): Promise<Observation>;
  /** Returns a snapshot of the expert cache at any time; undefined if no model is loaded. */
  experts(): Promise<ExpertsReport | undefined>;
  /**
   * Ends the running call after the token in flight. `generate` then resolves with `finishReason: 'aborted'`; `load`
   * rejects with `aborted` at its next progress or while it waits for an import, and no model is loaded.
   */
  stop(): Promise<void>;
  /**
   * Saves the KV cache under an id. Removes the oldest other sessions if the total exceeds `budget` bytes. Returns the
   * bytes written; 0 if the cache is empty or exceeds `budget` by itself, or if the model is still being imported. Other
   * calls wait until it is saved. `stop` ends the save with `aborted`; an older session with this id then remains.
   */
  saveSession(id: string, budget: number): Promise<number>;
  /**
   * Fills the KV cache with a saved session. Returns its tokens; 0 if there is none, if it does not fit and was removed,
   * or if the model is still being imported.
   */
  restoreSession(id: string): Promise<number>;
  /**
   * Token ids of `text`, without BOS. Needs a loaded model.
   * @param limit tokens of interest: a text that certainly has more is refused before it is converted
   * @throws MixtabError `no-model-loaded`, `context-overflow`
   */
  tokenize(text: string, limit?: number): Promise<TokenId[]>;
  /**
   * The text of each token of `text`, without BOS. A character of several tokens is text of the last one. Needs a
   * loaded model.
   * @throws MixtabError `no-model-loaded`
   */
  pieces(text: string): Promise<string[]>;
}
