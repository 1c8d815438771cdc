/** Attention of one token with the keys and values of all positions so far. */
import { Half } from './half';
import { Lanes } from './lanes';

export class Attention {
  /**
   * For the query heads that share a key and value head: out = softmax(q . k / sqrt(headDim)) v.
   * @param q f32[group, headDim]
   * @param keys f16[positions, headDim], like `values`; `stride` bytes from one position to the next
   * @param scores scratch, f32[positions] padded to a multiple of 4
   * @param out f32[group, headDim]
   */
  static run(
    q: usize,
    keys: usize,
    values: usize,
    positions: i32,
    stride: i32,
    group: i32,
    headDim: i32,
    scores: usize,
    out: usize,
  ): void {
    const factor = <f32>(1 / Math.sqrt(<f64>headDim));
    for (let h = 0; h < group; h++) {
      const largest = Attention.scores(q, keys, positions, stride, headDim, factor, scores);
      const sum = Attention.exponentials(scores, positions, largest);
      Attention.weigh(scores, 1 / sum, values, positions, stride, headDim, out);
      q += headDim << 2;
      out += headDim << 2;
    }
  }

  /** Scaled scores of all positions. Returns the largest. */
  @inline
  static scores(q: usize, keys: usize, positions: i32, stride: i32, headDim: i32, factor: f32, out: usize): f32 {
    let largest: f32 = -Infinity;
    for (let p = 0; p < positions; p++, keys += stride) {
      let acc = f32x4.splat(0);
      for (let i = 0; i < headDim; i += 4) {
        acc = f32x4.add(acc, f32x4.mul(v128.load(q + (i << 2)), Half.load4(keys + (i << 1))));
      }
      const score = Lanes.sum(acc) * factor;
      store<f32>(out + (p << 2), score);
      largest = max(largest, score);
    }
    return largest;
  }

  /** scores = e^(scores - largest). Returns their sum. */
  @inline
  static exponentials(scores: usize, positions: i32, largest: f32): f32 {
    // Lanes behind the last position become e^-87 or less, which is cleared before it is added.
    for (let p = positions; p & 3; p++) store<f32>(scores + (p << 2), -Infinity);
    let acc = f32x4.splat(0);
    for (let p = 0; p < positions; p += 4) {
      const shifted = f32x4.sub(v128.load(scores + (p << 2)), f32x4.splat(largest));
      const inside = f32x4.ge(shifted, f32x4.splat(-87));
      const e = v128.and(Lanes.exp(shifted), inside);
      v128.store(scores + (p << 2), e);
      acc = f32x4.add(acc, e);
    }
    return Lanes.sum(acc);
  }

  /** out = sum over positions of weight times value, times `factor`. */
  @inline
  static weigh(
    weights: usize,
    factor: f32,
    values: usize,
    positions: i32,
    stride: i32,
    headDim: i32,
    out: usize,
  ): void {
    for (let i = 0; i < headDim; i += 8) {
      let acc0 = f32x4.splat(0);
      let acc1 = f32x4.splat(0);
      let value = values + (i << 1);
      for (let p = 0; p < positions; p++, value += stride) {
        const weight = v128.load32_splat(weights + (p << 2));
        acc0 = f32x4.add(acc0, f32x4.mul(weight, Half.load4(value)));
        acc1 = f32x4.add(acc1, f32x4.mul(weight, Half.load4(value + 8)));
      }
      v128.store(out + (i << 2), f32x4.mul(acc0, f32x4.splat(factor)));
      if (i + 4 < headDim) v128.store(out + (i << 2), f32x4.mul(acc1, f32x4.splat(factor)), 16);
    }
  }
}
