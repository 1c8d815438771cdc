/** Small helpers on SIMD lanes. An octet is 8 neighbouring weights as 16-bit lanes. */
export class Lanes {
  /** The sum of four f32 lanes. */
  @inline
  static sum(v: v128): f32 {
    return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
  }

  /** The largest of four f32 lanes. */
  @inline
  static max(v: v128): f32 {
    const low = max(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1));
    return max(low, max(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)));
  }

  /** All bits of lane i are set if bit i of `byte` is. */
  @inline
  static ofBits(byte: u32): v128 {
    const bits = i16x8(1, 2, 4, 8, 16, 32, 64, 128);
    return i16x8.eq(v128.and(i16x8.splat(<i16>byte), bits), bits);
  }

  /** Negates lane i if bit i of `signs` is set. */
  @inline
  static signed(octet: v128, signs: u32): v128 {
    const mask = Lanes.ofBits(signs);
    return i16x8.sub(v128.xor(octet, mask), mask);
  }

  /** The low or the high nibbles of 8 bytes. */
  @inline
  static nibbles(at: usize, high: bool): v128 {
    const bytes = v128.load_ext<u8>(at);
    return high ? i16x8.shr_u(bytes, 4) : v128.and(bytes, i16x8.splat(15));
  }

  /** The entries of a table of 16 signed bytes that the low or high nibbles of 8 bytes point to. */
  @inline
  static lookUp(at: usize, high: bool, table: v128): v128 {
    const bytes = v128.load64_zero(at);
    const index = high ? i8x16.shr_u(bytes, 4) : v128.and(bytes, i8x16.splat(15));
    return i16x8.extend_low_i8x16_s(i8x16.swizzle(table, index));
  }

  /** Four unsigned bytes of a word as floats. */
  @inline
  static floatsOfBytes(word: u32): v128 {
    return f32x4.convert_i32x4_u(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(i32x4.splat(word))));
  }

  /** Stores 16 signed bytes times `factor` as f32[16]. */
  @inline
  static storeBytes(out: usize, bytes: v128, factor: f32): void {
    const f = f32x4.splat(factor);
    const low = i16x8.extend_low_i8x16_s(bytes);
    const high = i16x8.extend_high_i8x16_s(bytes);
    v128.store(out, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(low)), f));
    v128.store(out, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(low)), f), 16);
    v128.store(out, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(high)), f), 32);
    v128.store(out, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(high)), f), 48);
  }

  /** Nibble `index` of the bytes from `at` on; the low one of a byte comes first. */
  @inline
  static nibble(at: usize, index: i32): u32 {
    return (<u32>load<u8>(at + (index >> 1)) >> ((index & 1) << 2)) & 15;
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
