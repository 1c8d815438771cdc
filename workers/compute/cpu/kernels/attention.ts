/**
 * Attention of one token with the keys and values of all positions so far. Four query heads that share a key and value
 * head are computed at once, because unpacking f16 takes as long as the products of two heads. Behind the last head, the
 * last one is computed again. A head's result does not depend on the heads beside it, to the bit.
 */
import { Half } from './half';
import { Lanes } from './lanes';

/** Positions whose values, of one head, fit into the first cache with room to spare. */
const TOGETHER = 64;

export class Attention {
  /**
   * For the query heads that share a key and value head: out = softmax(q . k / sqrt(headDim)) v.
   * @param q f32[group, headDim], `headDim` a multiple of 4
   * @param keys f16[positions, headDim], like `values`; `stride` bytes from one position to the next
   * @param scores scratch, f32[positions, 4]
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
    const factor = f32x4.splat(<f32>(1 / Math.sqrt(<f64>headDim)));
    const headBytes = headDim << 2;
    for (let h = 0; h < group; h += 4) {
      const last = min(3, group - 1 - h);
      const second = min(1, last) * headBytes;
      const third = min(2, last) * headBytes;
      const fourth = last * headBytes;
      const at = q + h * headBytes;
      const to = out + h * headBytes;
      const largest = Attention.scores(at, second, third, fourth, keys, positions, stride, headDim, factor, scores);
      const sums = Attention.exponentials(scores, positions, largest);
      Attention.weigh(scores, values, positions, stride, headDim, to, second, third, fourth);
      const factors = f32x4.div(f32x4.splat(1), sums);
      Attention.scale(to, f32x4.extract_lane(factors, 0), headDim);
      if (last > 0) Attention.scale(to + second, f32x4.extract_lane(factors, 1), headDim);
      if (last > 1) Attention.scale(to + third, f32x4.extract_lane(factors, 2), headDim);
      if (last > 2) Attention.scale(to + fourth, f32x4.extract_lane(factors, 3), headDim);
    }
  }

  /** Scaled scores of all positions, one lane per head. Returns the largest of each. */
  @inline
  static scores(
    q: usize,
    second: usize,
    third: usize,
    fourth: usize,
    keys: usize,
    positions: i32,
    stride: i32,
    headDim: i32,
    factor: v128,
    out: usize,
  ): v128 {
    let largest = f32x4.splat(-Infinity);
    for (let p = 0; p < positions; p++, keys += stride) {
      let acc0 = f32x4.splat(0);
      let acc1 = f32x4.splat(0);
      let acc2 = f32x4.splat(0);
      let acc3 = f32x4.splat(0);
      let at = q;
      for (let i = 0; i < headDim; i += 4, at += 16) {
        const key = Half.load4(keys + (i << 1));
        acc0 = f32x4.add(acc0, f32x4.mul(v128.load(at), key));
        acc1 = f32x4.add(acc1, f32x4.mul(v128.load(at + second), key));
        acc2 = f32x4.add(acc2, f32x4.mul(v128.load(at + third), key));
        acc3 = f32x4.add(acc3, f32x4.mul(v128.load(at + fourth), key));
      }
      const score = f32x4.mul(Lanes.sums(acc0, acc1, acc2, acc3), factor);
      v128.store(out + (p << 4), score);
      largest = f32x4.max(largest, score);
    }
    return largest;
  }

  /** scores = e^(scores - largest). Returns their sums. */
  @inline
  static exponentials(scores: usize, positions: i32, largest: v128): v128 {
    let sums = f32x4.splat(0);
    for (let p = 0; p < positions; p++, scores += 16) {
      const shifted = f32x4.sub(v128.load(scores), largest);
      const e = v128.and(Lanes.exp(shifted), f32x4.ge(shifted, f32x4.splat(-87)));
      v128.store(scores, e);
      sums = f32x4.add(sums, e);
    }
    return sums;
  }

  /**
   * out = sum over positions of weight times value, for four heads. Some positions at a time, so that all elements of
   * their values are read from the cache.
   */
  @inline
  static weigh(
    weights: usize,
    values: usize,
    positions: i32,
    stride: i32,
    headDim: i32,
    out: usize,
    second: usize,
    third: usize,
    fourth: usize,
  ): void {
    for (let first = 0; first < positions; first += TOGETHER) {
      const count = min(TOGETHER, positions - first);
      for (let i = 0; i < headDim; i += 4) {
        const to = out + (i << 2);
        // Heads that are computed again read and write the same numbers.
        let acc0 = first ? v128.load(to) : f32x4.splat(0);
        let acc1 = first ? v128.load(to + second) : f32x4.splat(0);
        let acc2 = first ? v128.load(to + third) : f32x4.splat(0);
        let acc3 = first ? v128.load(to + fourth) : f32x4.splat(0);
        let at = values + (i << 1);
        let weight = weights;
        for (let p = 0; p < count; p++, at += stride, weight += 16) {
          const value = Half.load4(at);
          acc0 = f32x4.add(acc0, f32x4.mul(v128.load32_splat(weight), value));
          acc1 = f32x4.add(acc1, f32x4.mul(v128.load32_splat(weight, 4), value));
          acc2 = f32x4.add(acc2, f32x4.mul(v128.load32_splat(weight, 8), value));
          acc3 = f32x4.add(acc3, f32x4.mul(v128.load32_splat(weight, 12), value));
        }
        v128.store(to, acc0);
        v128.store(to + second, acc1);
        v128.store(to + third, acc2);
        v128.store(to + fourth, acc3);
      }
      values += TOGETHER * stride;
      weights += TOGETHER << 4;
    }
  }

  /** x = x * factor. */
  @inline
  static scale(x: usize, factor: f32, length: i32): void {
    const f = f32x4.splat(factor);
    for (let i = 0; i < length; i += 4) v128.store(x + (i << 2), f32x4.mul(v128.load(x + (i << 2)), f));
  }
}
