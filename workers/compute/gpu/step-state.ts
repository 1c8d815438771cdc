/**
 * The small storage buffer that every kernel of a step reads: how many tokens, at which position,
 * and whether an earlier kernel found an expert missing. Mirrors `shaders/lib/state.wgsl`.
 */

/** Word (u32) offsets in the state buffer. */
export const STATE = {
  /** Tokens in this batch; 1 in decode. */
  tokenCount: 0,
  /** Position of the batch's first token in the KV cache. */
  position: 1,
  /** 0: running. n: an expert of layer n-1 is missing, every kernel returns at once. */
  stalled: 2,
  /** Number of tokens sampled so far in this generation: the sampler's random stream index. */
  step: 3,
  /** f32. Added to the router logits of resident experts in decode; 0 is exact. */
  residentBias: 4,
  /** f32. In decode, experts but the first whose weight is smaller are left out; 0 is exact. */
  skipBelow: 5,
  /** Of the experts chosen for a token, how many count; 0: all. */
  expertsUsed: 6,
  /** 1: experts are drawn at random. */
  random: 7,
  randomSeed: 8,
  /** To the end: bit `layer * expertCount + expert` is set for an expert that is never chosen. */
  banned: 9,
} as const;

export const STATE_BYTES = 512;
/** Experts of all layers that {@link STATE}.banned has room for. */
export const BANNED_BITS = (STATE_BYTES / 4 - STATE.banned) * 32;
