/**
 * Samples a token: shaders/sample.wgsl defines the options. All cuts are prefixes of one order, from the likeliest token
 * to the unlikeliest, of equal logits the lower id first. A prefix that reaches a weight is found by a radix search: it
 * adds up weights in a histogram of one digit and continues among the tokens of the bin where the sum reaches its goal.
 */
import { Lanes } from './lanes';
import { SamplerState } from './structs';

/** NaN and infinities become large finite numbers, which can be compared and subtracted. */
const LARGEST: f32 = 3e38;
/** The logit of a token that is not allowed: lower than that of any other. */
const EXCLUDED: f32 = -3.4e38;
/** f64[4096]: weights by digit. */
const BINS: usize = memory.data(32768, 16);

export class Sampler {
  /** The last token that remains after the cuts so far. */
  static cutKey: u32 = 0;
  static cutId: u32 = 0xffffffff;

  /**
   * Makes the logits finite, writes the keys of the adjusted ones, and undoes all cuts. Finds the largest raw logit.
   * @returns the likeliest token
   */
  static adjust(s: SamplerState): u32 {
    let rawMax = f32x4.splat(-LARGEST);
    let keyMax = i32x4.splat(0);
    const count: usize = s.vocabulary;
    for (let id: usize = 0; id < count; id += 4) {
      const inside = Lanes.firstOf4(<i32>(count - id));
      const raw = v128.bitselect(Sampler.finite(v128.load(s.logits + (id << 2))), f32x4.splat(-LARGEST), inside);
      v128.store(s.logits + (id << 2), raw);
      rawMax = f32x4.max(rawMax, raw);
      let x = s.biased ? f32x4.add(raw, v128.load(s.bias + (id << 2))) : raw;
      if (s.penalized) x = Sampler.penalize(s, id, x);
      const key = Sampler.keys(v128.bitselect(Sampler.finite(x), f32x4.splat(EXCLUDED), Sampler.allowed(s, id)));
      const insideKey = v128.and(key, inside);
      v128.store(s.keys + (id << 2), insideKey);
      keyMax = i32x4.max_u(keyMax, insideKey);
    }
    s.rawMax = Lanes.max(rawMax);
    Sampler.cutKey = 0;
    Sampler.cutId = 0xffffffff;
    const best = i32x4.max_u(keyMax, v128.shuffle<i32>(keyMax, keyMax, 2, 3, 0, 1));
    s.bestKey = max<u32>(i32x4.extract_lane(best, 0), i32x4.extract_lane(best, 1));
    let id: u32 = 0;
    while (load<u32>(s.keys + (id << 2)) != s.bestKey) id++;
    return id;
  }

  @inline
  static finite(x: v128): v128 {
    const clamped = f32x4.min(f32x4.max(x, f32x4.splat(-LARGEST)), f32x4.splat(LARGEST));
    return v128.bitselect(clamped, f32x4.splat(-LARGEST), f32x4.eq(x, x));
  }

  /** Applies the penalties to four tokens. */
  @inline
  static penalize(s: SamplerState, id: usize, x: v128): v128 {
    const counts = v128.load(s.counts + (id << 2));
    if (!v128.any_true(counts)) return x;
    const repetition = f32x4.splat(s.repetition);
    const isNegative = f32x4.le(x, f32x4.splat(0));
    const repeated = v128.bitselect(f32x4.mul(x, repetition), f32x4.div(x, repetition), isNegative);
    const often = f32x4.mul(f32x4.convert_i32x4_u(counts), f32x4.splat(s.frequency));
    const penalized = f32x4.sub(repeated, f32x4.add(often, f32x4.splat(s.presence)));
    return v128.bitselect(x, penalized, i32x4.eq(counts, i32x4.splat(0)));
  }

  /** All bits of the lanes of allowed tokens are set. */
  @inline
  static allowed(s: SamplerState, id: usize): v128 {
    if (!s.masked) return i32x4.splat(-1);
    const bits = i32x4(1, 2, 4, 8);
    const four = <i32>load<u8>(s.allowed + (id >> 3)) >> (<i32>id & 4);
    return i32x4.eq(v128.and(i32x4.splat(four), bits), bits);
  }

  /** Numbers in the order of the floats, as unsigned integers. -0 is 0. */
  @inline
  static keys(x: v128): v128 {
    const bits = f32x4.add(x, f32x4.splat(0));
    return v128.xor(bits, v128.or(i32x4.shr_s(bits, 31), i32x4.splat(0x80000000)));
  }

  /** The floats of `keys`. */
  @inline
  static values(keys: v128): v128 {
    return v128.xor(keys, v128.or(v128.not(i32x4.shr_s(keys, 31)), i32x4.splat(0x80000000)));
  }

  /** The sum of e^(raw logit - largest). */
  static rawSum(s: SamplerState): f64 {
    let sum = f64x2.splat(0);
    const count: usize = s.vocabulary;
    for (let id: usize = 0; id < count; id += 4) {
      const e = Sampler.exp(f32x4.sub(v128.load(s.logits + (id << 2)), f32x4.splat(s.rawMax)));
      const inside = v128.and(e, Lanes.firstOf4(<i32>(count - id)));
      const high = v128.shuffle<i32>(inside, inside, 2, 3, 2, 3);
      sum = f64x2.add(sum, f64x2.add(f64x2.promote_low_f32x4(inside), f64x2.promote_low_f32x4(high)));
    }
    return f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
  }

  /** e^x, 0 if it is below e^-87. */
  @inline
  static exp(x: v128): v128 {
    return v128.and(Lanes.exp(x), f32x4.ge(x, f32x4.splat(-87)));
  }

  /** weights = e^((adjusted logit - largest) / temperature). */
  static weigh(s: SamplerState, temperature: f32): void {
    const largest = Sampler.values(i32x4.splat(s.bestKey));
    for (let id: usize = 0; id < <usize>s.vocabulary; id += 4) {
      const below = f32x4.sub(Sampler.values(v128.load(s.keys + (id << 2))), largest);
      v128.store(s.weights + (id << 2), Sampler.exp(f32x4.div(below, f32x4.splat(temperature))));
    }
  }

  /** Cuts to the shortest prefix with `goal` tokens (`weighted` false), or with this share of all weights. */
  static cut(s: SamplerState, weighted: bool, goal: f64): void {
    const id = Sampler.search(s, s.keys, weighted, goal);
    Sampler.cutKey = load<u32>(s.keys + (id << 2));
    Sampler.cutId = id;
  }

  /** Cuts to tokens whose adjusted logit is at least the largest one plus `difference`. */
  static cutBelow(s: SamplerState, difference: f32): void {
    const lowest = f32x4.add(Sampler.values(i32x4.splat(s.bestKey)), f32x4.splat(difference));
    const key = <u32>i32x4.extract_lane(Sampler.keys(lowest), 0);
    if (key <= Sampler.cutKey) return;
    Sampler.cutKey = key;
    Sampler.cutId = s.vocabulary;
  }

  /** The token at which the sum of weights reaches this share of all weights. */
  static draw(s: SamplerState, share: f64): u32 {
    return Sampler.search(s, s.keys, true, share);
  }

  /** Writes the `count` likeliest tokens by raw logits to the start of `list`, likeliest first. Undoes all cuts. */
  static top(s: SamplerState, count: i32): void {
    Sampler.cutKey = 0;
    Sampler.cutId = 0xffffffff;
    const keys = s.weights;
    for (let id: usize = 0; id < <usize>s.vocabulary; id += 4) {
      v128.store(keys + (id << 2), Sampler.keys(v128.load(s.logits + (id << 2))));
    }
    const last = Sampler.search(s, keys, false, count);
    const lastKey = load<u32>(keys + (last << 2));
    let found = 0;
    for (let id: u32 = 0; id < <u32>s.vocabulary; id++) {
      const key = load<u32>(keys + (id << 2));
      if (key < lastKey || (key == lastKey && id > last)) continue;
      let at = found++;
      for (; at > 0 && load<u32>(keys + (load<u32>(s.list + ((at - 1) << 2)) << 2)) < key; at--) {
        store<u32>(s.list + (at << 2), load<u32>(s.list + ((at - 1) << 2)));
      }
      store<u32>(s.list + (at << 2), id);
    }
  }

  /** The last token of the shortest prefix, within the cut, that reaches the goal. */
  static search(s: SamplerState, keys: usize, weighted: bool, goal: f64): u32 {
    const weights = weighted ? s.weights : 0;
    memory.fill(BINS, 0, 32768);
    let total: f64 = 0;
    for (let id: u32 = 0; id < <u32>s.vocabulary; id++) {
      const key = load<u32>(keys + (id << 2));
      if (!Sampler.within(key, id)) continue;
      const weight = Sampler.weight(weights, id);
      total += weight;
      Sampler.addToBin(key >> 20, weight);
    }
    let remaining = weighted ? goal * total : goal;
    let digit = Sampler.binOf(remaining);
    remaining = Sampler.remaining;
    let count: u32 = 0;
    for (let id: u32 = 0; id < <u32>s.vocabulary; id++) {
      const key = load<u32>(keys + (id << 2));
      if (key >> 20 != digit || !Sampler.within(key, id)) continue;
      store<u32>(s.list + (count++ << 2), id);
    }
    count = Sampler.narrow(s, keys, weights, count, 8, 4095, remaining);
    count = Sampler.narrow(s, keys, weights, count, 0, 255, Sampler.remaining);
    // Tokens with equal keys, by ascending ids.
    remaining = Sampler.remaining;
    let last: u32 = 0;
    for (let i: u32 = 0; i < count && (i == 0 || remaining > 0); i++) {
      last = load<u32>(s.list + (i << 2));
      remaining -= Sampler.weight(weights, last);
    }
    return last;
  }

  /** Keeps the tokens of the list in whose bin, by one digit of the key, the sum reaches the goal. Returns their number. */
  @inline
  static narrow(s: SamplerState, keys: usize, weights: usize, count: u32, shift: u32, mask: u32, goal: f64): u32 {
    memory.fill(BINS, 0, 32768);
    for (let i: u32 = 0; i < count; i++) {
      const id = load<u32>(s.list + (i << 2));
      Sampler.addToBin((load<u32>(keys + (id << 2)) >> shift) & mask, Sampler.weight(weights, id));
    }
    const digit = Sampler.binOf(goal);
    let kept: u32 = 0;
    for (let i: u32 = 0; i < count; i++) {
      const id = load<u32>(s.list + (i << 2));
      if (((load<u32>(keys + (id << 2)) >> shift) & mask) == digit) store<u32>(s.list + (kept++ << 2), id);
    }
    return kept;
  }

  @inline
  static within(key: u32, id: u32): bool {
    return key > Sampler.cutKey || (key == Sampler.cutKey && id <= Sampler.cutId);
  }

  @inline
  static weight(weights: usize, id: u32): f64 {
    return weights ? <f64>load<f32>(weights + (id << 2)) : 1;
  }

  @inline
  static addToBin(digit: u32, weight: f64): void {
    store<f64>(BINS + (digit << 3), load<f64>(BINS + (digit << 3)) + weight);
  }

  /** What is missing to the goal before the bin that `binOf` found. */
  static remaining: f64 = 0;

  /** The bin, from the top, at which the sum reaches the goal. Rounding may leave a remainder: then the last one. */
  static binOf(goal: f64): u32 {
    let digit: u32 = 0;
    let remaining = goal;
    Sampler.remaining = goal;
    for (let bin: i32 = 4095; bin >= 0; bin--) {
      const sum = load<f64>(BINS + (bin << 3));
      if (sum <= 0) continue;
      digit = bin;
      Sampler.remaining = remaining;
      remaining -= sum;
      if (remaining <= 0) break;
    }
    return digit;
  }
}
