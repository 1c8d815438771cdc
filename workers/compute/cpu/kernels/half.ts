/** 16-bit floats: IEEE halves and bfloat16. */

/** Multiplying by 2^112 moves a half's exponent bias from 15 to 127. It is exact for subnormals, too. */
const REBIAS: u32 = 0x77800000;

export class Half {
  /** The value of f16 `bits`. Exact; infinities and NaN stay what they are. */
  @inline
  static toFloat(bits: u32): f32 {
    const magnitude = (bits & 0x7fff) << 13;
    const special = (bits & 0x7c00) == 0x7c00;
    const value = special
      ? magnitude | 0x7f800000
      : reinterpret<u32>(reinterpret<f32>(magnitude) * reinterpret<f32>(REBIAS));
    return reinterpret<f32>(value | ((bits & 0x8000) << 16));
  }

  @inline
  static load(at: usize): f32 {
    return Half.toFloat(load<u16>(at));
  }

  /** Four neighbouring halves as floats. Infinities and NaN are not expected: keys and values are finite. */
  @inline
  static load4(at: usize): v128 {
    const bits = v128.load_ext<u16>(at);
    const magnitude = i32x4.shl(v128.and(bits, i32x4.splat(0x7fff)), 13);
    const sign = i32x4.shl(v128.and(bits, i32x4.splat(0x8000)), 16);
    return v128.or(f32x4.mul(magnitude, i32x4.splat(REBIAS)), sign);
  }

  /** f16 bits of `value`, rounded to nearest, ties to even. */
  @inline
  static fromFloat(value: f32): u32 {
    const bits = reinterpret<u32>(value);
    const sign = (bits >> 16) & 0x8000;
    const magnitude = bits & 0x7fffffff;
    if (magnitude >= 0x47800000) return sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00);
    // Below 2^-14 the result is subnormal: adding 0.5 rounds to a multiple of 2^-24, its last bits are the result's.
    if (magnitude < 0x38800000) return sign | (reinterpret<u32>(reinterpret<f32>(magnitude) + 0.5) - 0x3f000000);
    return sign | ((magnitude + 0xfff + ((magnitude >> 13) & 1) - 0x38000000) >> 13);
  }
}
