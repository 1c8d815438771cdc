/** Small helpers on SIMD lanes.  */
import { Constants } from './constants';

/** In memory for the reason that `Constants` gives: 2^(i % 8), and i / 8 rounded down, for i from 0 to 15. */
const BIT_OF_BYTE: usize = memory.data<u8>([1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128], 16);
const BYTE_OF_BIT: usize = memory.data<u8>([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1], 16);

export class Lanes {
  /** The sum of four f32 lanes. */
  @inline
  static sum(v: v128): f32 {
    return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
  }

  /** The sums of the lanes of four vectors of f32. */
  @inline
  static sums(v0: v128, v1: v128, v2: v128, v3: v128): v128 {
    const t01 = f32x4.add(v128.shuffle<f32>(v0, v1, 0, 4, 1, 5), v128.shuffle<f32>(v0, v1, 2, 6, 3, 7));
    const t23 = f32x4.add(v128.shuffle<f32>(v2, v3, 0, 4, 1, 5), v128.shuffle<f32>(v2, v3, 2, 6, 3, 7));
    return f32x4.add(v128.shuffle<i64>(t01, t23, 0, 2), v128.shuffle<i64>(t01, t23, 1, 3));
  }

  /** The sums of the lanes of four vectors of integers. */
  @inline
  static integerSums(v0: v128, v1: v128, v2: v128, v3: v128): v128 {
    const t01 = Lanes.pairSums(v0, v1);
    const t23 = Lanes.pairSums(v2, v3);
    return i32x4.add(v128.shuffle<i64>(t01, t23, 0, 2), v128.shuffle<i64>(t01, t23, 1, 3));
  }

  /** Two sums of two lanes of each of two vectors of integers: of `v`, of `w`, of `v`, of `w`. */
  @inline
  static pairSums(v: v128, w: v128): v128 {
    return i32x4.add(v128.shuffle<i32>(v, w, 0, 4, 1, 5), v128.shuffle<i32>(v, w, 2, 6, 3, 7));
  }

  /** The largest of four f32 lanes. */
  @inline
  static max(v: v128): f32 {
    const low = max(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1));
    return max(low, max(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)));
  }

  /** All bits of lane i are set if i < `count`. */
  @inline
  static firstOf4(count: i32): v128 {
    return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(count));
  }

  /** All bits of byte i are set if bit i of `bits` is. */
  @inline
  static ofBits(bits: u32): v128 {
    const one = v128.load(BIT_OF_BYTE);
    const spread = i8x16.swizzle(i32x4.splat(bits), v128.load(BYTE_OF_BIT));
    return i8x16.eq(v128.and(spread, one), one);
  }

  /** Negates byte i if bit i of `signs` is set. */
  @inline
  static signed(bytes: v128, signs: u32): v128 {
    const mask = Lanes.ofBits(signs);
    return i8x16.sub(v128.xor(bytes, mask), mask);
  }

  /** Shifts 16-bit lanes to the left, or to the right if `by` is negative. Bits move across the bytes of a lane. */
  @inline
  static shift(v: v128, by: i32): v128 {
    return by > 0 ? i16x8.shl(v, by) : by < 0 ? i16x8.shr_u(v, -by) : v;
  }

  /** The low (`high` 0) or high nibble (1) of each byte. */
  @inline
  static nibbles(bytes: v128, high: i32): v128 {
    return v128.and(high ? i16x8.shr_u(bytes, 4) : bytes, Constants.bytes(15));
  }

  /** The nibbles of the first 8 bytes, the low one of a byte first. */
  @inline
  static allNibbles(bytes: v128): v128 {
    const low = Lanes.nibbles(bytes, 0);
    const high = Lanes.nibbles(bytes, 1);
    return v128.shuffle<i8>(low, high, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  }

  /** 2 v + 1 for each byte. */
  @inline
  static odd(bytes: v128): v128 {
    return v128.or(i8x16.add(bytes, bytes), Constants.bytes(1));
  }

  /** 2 v + 1 for the top 4 bits v of eight 32-bit lanes, as bytes. */
  @inline
  static topNibbles(first: v128, second: v128): v128 {
    const words = i16x8.narrow_i32x4_u(i32x4.shr_u(first, 28), i32x4.shr_u(second, 28));
    return Lanes.odd(i8x16.narrow_i16x8_u(words, words));
  }

  /** Four signed bytes, the first of which is byte 4 `i`, as floats. `i` is a constant. */
  @inline
  static floatsOfBytes(bytes: v128, i: i32): v128 {
    const half = i > 1 ? i16x8.extend_high_i8x16_s(bytes) : i16x8.extend_low_i8x16_s(bytes);
    return f32x4.convert_i32x4_s(i & 1 ? i32x4.extend_high_i16x8_s(half) : i32x4.extend_low_i16x8_s(half));
  }

  /**
   * e^x of four lanes between -87 and 88 with a relative error below 2e-7. As in Cephes' expf: x = n ln 2 + r, then a
   * polynomial in r.
   */
  @inline
  static exp(x: v128): v128 {
    const clamped = f32x4.min(f32x4.max(x, f32x4.splat(-87)), f32x4.splat(88));
    const n = f32x4.nearest(f32x4.mul(clamped, f32x4.splat(1.44269504088896341)));
    // ln 2 in two parts, so that r keeps its last bits.
    const rough = f32x4.sub(clamped, f32x4.mul(n, f32x4.splat(0.693359375)));
    const r = f32x4.add(rough, f32x4.mul(n, f32x4.splat(2.1219444e-4)));
    let p = f32x4.add(f32x4.mul(f32x4.splat(1.98756915e-4), r), f32x4.splat(1.3981999507e-3));
    p = f32x4.add(f32x4.mul(p, r), f32x4.splat(8.3334519073e-3));
    p = f32x4.add(f32x4.mul(p, r), f32x4.splat(4.1665795894e-2));
    p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.6666665459e-1));
    p = f32x4.add(f32x4.mul(p, r), f32x4.splat(5.0000001201e-1));
    const mantissa = f32x4.add(f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), r), f32x4.splat(1));
    const power = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23);
    return f32x4.mul(mantissa, power);
  }
}
