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
