/**
 * The boundary between generating answers (`workers/generate`) and computing them. `compute/gpu` and `compute/cpu`
 * implement it. Everything above it is the same for both: prompts, stopping, formats, sessions, scoring, statistics.
 */
import type { ComputeKind, SamplingOptions, TokenLogprob } from '../../src/contract/engine-api.ts';
import type { Bytes, ExpertId, ExpertIndex, LayerIndex, TokenId } from '../../src/contract/ids.ts';
import type { ModelConfig } from '../../src/contract/import-api.ts';
import type { ExpertCache } from '../experts/expert-cache.ts';

/** The largest number of likeliest tokens that a sampler reports; the OpenAI API allows 20. */
export const MAX_TOP = 20;

/**
 * Experts can be banned or replaced if their {@link ExpertId} is below this number: the step state of the GPU has a bit
 * and a byte for each.
 */
export const MAX_CHANGEABLE_EXPERTS = 119 * 32;
/** An expert can replace another one if its index is below this number: it is stored in a byte, in which 0 is none. */
export const MAX_STAND_INS = 255;

/** How the router deviates from the model. Without options it selects exactly the model's experts. */
export interface RouterStateOptions {
  /** Added to the router logits of resident experts, in decode only. */
  residentBias?: number;
  /** Experts with a smaller weight are skipped, except the first, in decode only. */
  skipBelow?: number;
  /** How many of the model's experts per token are used; 0: all. */
  expertsUsed?: number;
  /** How many of the best experts are passed over, so that the next ones are picked; at most `expertCount` - 1. */
  choicesSkipped?: number;
  /** If given, experts are drawn at random with this seed. */
  randomSeed?: number;
  /** Added to the logits for the selection, but not for the weights. */
  noise?: RouterNoise;
  /** Experts that the router never picks; each id is below {@link MAX_CHANGEABLE_EXPERTS}. */
  banned?: Iterable<ExpertId>;
  /**
   * For picked experts, the expert of the same layer that computes in its place, with its weight. Ids are below
   * {@link MAX_CHANGEABLE_EXPERTS}, stand-ins below {@link MAX_STAND_INS}.
   */
  replaced?: ReadonlyMap<ExpertId, ExpertIndex>;
}

/** Noise of the router: close to a normal distribution, by seed, layer, position and expert. See router-noise.ts. */
export interface RouterNoise {
  /** Standard deviation, in units of the logits. */
  amount: number;
  seed: number;
}

/** What the sampler starts an answer with. */
export interface SamplerStart {
  options: SamplingOptions;
  /** An integer of up to 64 bits. */
  seed: number;
  /** Tokens of the answer that were sampled before, so that a resumed answer continues with the same random numbers. */
  step: number;
  /** How many of the likeliest tokens to report, at most {@link MAX_TOP}. */
  topCount: number;
  /** u32[vocabularySize]: occurrences of each token so far, for the penalties. */
  counts: Uint32Array<ArrayBuffer>;
  /** f32[vocabularySize]: added to the logits. */
  bias: Float32Array<ArrayBuffer>;
  /** One bit per token that may be sampled first, lowest bit first; undefined: all. */
  allowed: Uint32Array | undefined;
}

/** A token that was sampled, with its log-probability before any sampling option. */
export interface Sample {
  id: TokenId;
  logprob: number;
  /** The likeliest tokens, likeliest first. */
  top: Pick<TokenLogprob, 'id' | 'logprob'>[];
}

export interface PrefillRequest {
  /** Tokens to add to the KV cache, at least one. */
  tokens: readonly TokenId[];
  /** Position of the first of them. The cache holds the positions before it. */
  position: number;
  /** Called after each layer with the share of the layers that is done, in tokens; at the end with all tokens. */
  onProgress: (tokensDone: number) => void;
  /** Ends the prefill at the next layer, or while it waits for experts. */
  signal: AbortSignal;
}

/** Decodes the tokens of one answer, one after another. */
export interface TokenDecoder {
  /**
   * Adds the last sampled token to the KV cache and samples the next one. After an error, nothing of the token is left
   * in the backend or in the queue of reads.
   * @param maxFurtherTokens how many tokens may be computed after this one, before the caller asks for them
   * @throws MixtabError `aborted`, `not-finite`, an error of reading an expert, or of the backend
   */
  nextToken(maxFurtherTokens: number): Promise<Sample>;
  /** Waits for tokens that are computed ahead and no longer needed. */
  drain(): Promise<void>;
}

/** A text whose tokens are scored, from an empty KV cache on. */
export interface ScoreWindow {
  /** At least two, at most the context. */
  tokens: readonly TokenId[];
  signal: AbortSignal;
  /**
   * Called with the experts of each token and layer.
   * @param token index in `tokens`
   * @param experts u32[expertsPerToken], best first
   */
  onSelectedExperts: (token: number, layer: LayerIndex, experts: Uint32Array) => void;
}

/** Computes how likely the tokens of texts are. The KV cache has arbitrary contents afterwards. */
export interface Scorer {
  /** Takes all tokens through the layers together. @returns log-probabilities of tokens 1, 2, ... */
  prefill(window: ScoreWindow): Promise<number[]>;
  /** Takes one token after another through the layers, as decoding does. @returns as {@link prefill} */
  decode(window: ScoreWindow): Promise<number[]>;
  destroy(): void;
}

/** What one token is in one layer. The arrays are valid until the callback that receives them has returned. */
export interface LayerActivations {
  layer: LayerIndex;
  /** f32[embeddingLength]: the residual that enters the layer. */
  before: Float32Array;
  /** f32[embeddingLength]: the residual after attention was added. */
  attended: Float32Array;
  /** f32[expertCount]: the router's scores, before the softmax. */
  routerLogits: Float32Array;
  /** u32[expertsPerToken], best first. */
  selectedExperts: Uint32Array;
  /** f32[expertsPerToken]: their weights, which sum to 1. */
  weights: Float32Array;
  /** f32[expertsPerToken, embeddingLength]: their weighted outputs, in the order of `selectedExperts`. */
  experts: Float32Array;
  /** f32[embeddingLength]: the residual after the layer. */
  residual: Float32Array;
  /** f32[vocabularySize]: the logits if the output head followed this layer. */
  logits: Float32Array;
}

/** A token to be taken through the layers while everything is read back. */
export interface ObserveTokenRequest {
  token: TokenId;
  /** The KV cache holds the positions before it. */
  position: number;
  /** Called after each layer, first layer first. */
  onLayer: (activations: LayerActivations) => void;
  /** Ends the token at the next layer, or while it waits for experts. */
  signal: AbortSignal;
}

/** Part of one layer's keys or values: f16[positions, kvHeadCount, headDim], little-endian. */
export interface KvRegion {
  layer: number;
  kind: 'keys' | 'values';
  offset: Bytes;
  size: Bytes;
}

export type KvShape = Pick<ModelConfig, 'layerCount' | 'kvHeadCount' | 'headDim'>;

/** The bytes of the KV cache, in the same layout for every backend. */
export interface KvCacheBytes {
  readonly shape: KvShape;
  /** Positions that the cache may hold. */
  readonly limit: number;
  /** Copies regions out of the cache, one after another. */
  read(regions: readonly KvRegion[]): AsyncIterable<ArrayBuffer>;
  /** Makes room for `positions`, before {@link write}. */
  reserve(positions: number): Promise<void>;
  write(region: KvRegion, bytes: ArrayBuffer): void;
}

/** The bytes of a cache with `positions`, in all layers. */
export function kvCacheBytes({ layerCount, kvHeadCount, headDim }: KvShape, positions: number): Bytes {
  return 2 * layerCount * kvHeadCount * headDim * 2 * positions;
}

/** A loaded model on one backend. One call runs at a time. */
export interface Compute {
  readonly kind: ComputeKind;
  readonly config: ModelConfig;
  /** Workers that compute; absent on the GPU. */
  readonly threads?: number;
  /** Positions that the KV cache may hold. */
  readonly context: number;
  /** Expert slots over all layers. */
  readonly slots: number;
  /** Which experts are resident, and statistics of their use. */
  readonly experts: ExpertCache;
  readonly kvCache: KvCacheBytes;
  /** Aborted when the backend fails, with a MixtabError as its reason. What it computes after that may be wrong. */
  readonly failure: AbortSignal;
  /** Memory in use now. */
  memory(): { gpuBytes: Bytes; ramBytes: Bytes };
  /** Time so far that the engine waited for the backend to compute, without time spent waiting for experts. */
  readonly computeMs: number;

  /** Replaces all options of the router. */
  setRouterOptions(options: RouterStateOptions): void;
  /** Sets up the sampler for an answer and restarts its random numbers. */
  startSampling(start: SamplerStart): void;
  /** Restricts the next sampled token. @param allowed one bit per token, lowest bit first */
  setAllowed(allowed: Uint32Array<ArrayBuffer>): void;

  /**
   * Computes tokens of a prompt, all of them layer by layer, and adds them to the KV cache.
   * @throws MixtabError `aborted`, an error of reading an expert, or of the backend
   */
  prefill(request: PrefillRequest): Promise<void>;
  /** Samples from the logits of the last token of {@link prefill}. @throws MixtabError `not-finite` */
  sampleFirst(): Promise<Sample>;
  /**
   * Starts decoding behind {@link sampleFirst}.
   * @param positions tokens in the KV cache now
   * @param signal ends a token at its next layer, or while it waits for experts
   */
  startDecoding(positions: number, signal: AbortSignal): TokenDecoder;
  createScorer(): Scorer;
  /**
   * Takes one token through the layers, adds it to the KV cache, and reports what it is in each layer. Much slower than
   * decoding: every layer is followed by the output head and read back.
   * @throws MixtabError `aborted`, an error of reading an expert, or of the backend
   */
  observe(request: ObserveTokenRequest): Promise<void>;
  destroy(): void;
}
