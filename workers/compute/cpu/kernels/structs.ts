/** What the host passes by address. Fields are 32-bit words, in this order. */

/** A quantized matrix, or some rows of one: the addresses of its planes, in the order of WEIGHT_TYPES. */
@unmanaged
export class Matrix {
  a: usize;
  b: usize;
  c: usize;
  d: usize;
}

/**
 * The inputs of one or several tokens, rounded to 16 bits with one scale for each 32. `Vector.quantize` writes them,
 * token after token.
 */
@unmanaged
export class Inputs {
  /** i16[tokens, columns]; of each 16 neighbours, the 8 even ones come first. */
  values: usize;
  /** f32[tokens, columns / 32] */
  scales: usize;
  /** f32[tokens, columns / 16]: the sum of each 16 rounded inputs. */
  sums16: usize;
  /** f32[tokens, columns / 32] */
  sums32: usize;
}

/** See `Sampler`. Arrays have one element per token and are padded to a multiple of 4. */
@unmanaged
export class SamplerState {
  vocabulary: i32;
  /** f32: raw logits, which `Sampler.adjust` makes finite. */
  logits: usize;
  /** f32 */
  bias: usize;
  /** u32: occurrences */
  counts: usize;
  /** One bit per token that may be sampled, lowest bit first. */
  allowed: usize;
  /** u32: the adjusted logits, in an order-preserving form. */
  keys: usize;
  /** f32 */
  weights: usize;
  /** u32: ids of some tokens. */
  list: usize;
  /** Whether any bias is not 0. */
  biased: u32;
  /** Whether any penalty is not neutral. */
  penalized: u32;
  /** Whether `allowed` counts. */
  masked: u32;
  repetition: f32;
  presence: f32;
  frequency: f32;
  /** Written by `Sampler.adjust`: the largest raw logit and the key of the likeliest token. */
  rawMax: f32;
  bestKey: u32;
}
