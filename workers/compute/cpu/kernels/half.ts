/** 16-bit floats: IEEE halves and bfloat16. */

/**
 * Subnormal halves are common (scales of Q6_K are around 1e-5) and must not become subnormal floats on the way, whose
 * arithmetic takes over a hundred cycles: they are added to the mantissa of 2^-14, which is then subtracted.
 */
const SMALLEST_NORMAL: u32 = 0x38800000;

/** Constants in memory, for the reason that `Constants` gives. */
const MAGNITUDE: usize = memory.data<u32>([0x7fff], 4);
const SIGN: usize = memory.data<u32>([0x8000], 4);
const EXPONENT_1: usize = memory.data<u32>([0x00800000], 4);
const EXPONENT_112: usize = memory.data<u32>([0x38000000], 4);
const NORMAL: usize = memory.data<u32>([0x38800000], 4);

/** f32[65536]: the value of every half. */
const FLOATS: usize = memory.data(262144, 16);

export class Half {
  /** The largest finite half. */
  static readonly MAX: f32 = 65504;

  /** The value of f16 `bits`. Exact; infinities and NaN stay what they are. */
  @inline
  static toFloat(bits: u32): f32 {
    const exponentAndMantissa = (bits & 0x7fff) << 13;
    let value: f32;
    if (exponentAndMantissa < 0x00800000) {
      value = reinterpret<f32>(exponentAndMantissa | SMALLEST_NORMAL) - reinterpret<f32>(SMALLEST_NORMAL);
    } else {
      // Two steps for the exponent, so that that of infinities and NaN becomes 255.
      value = reinterpret<f32>(exponentAndMantissa + 0x70000000) * <f32>(1.0 / 5192296858534827628530496329220096.0);
    }
    return reinterpret<f32>(reinterpret<u32>(value) | ((bits & 0x8000) << 16));
  }

  /** The value of the half at `at`, from the table. */
  @inline
  static load(at: usize): f32 {
    return load<f32>(FLOATS + ((<u32>load<u16>(at)) << 2));
  }

  /** Four neighbouring halves as floats. Infinities and NaN are not expected: keys and values are finite. */
  @inline
  static load4(at: usize): v128 {
    return Half.toFloats(v128.load_ext<u16>(at));
  }

  /** The halves in the low 16 bits of four 32-bit lanes as floats. The high bits are ignored. */
  @inline
  static toFloats(bits: v128): v128 {
    const magnitude = i32x4.shl(v128.and(bits, v128.load32_splat(MAGNITUDE)), 13);
    const sign = i32x4.shl(v128.and(bits, v128.load32_splat(SIGN)), 16);
    const subnormal = i32x4.lt_s(magnitude, v128.load32_splat(EXPONENT_1));
    // Adds 112 to the exponent, or 113 if the half is subnormal: a lane of `subnormal` is -1.
    const rebased = i32x4.sub(i32x4.add(magnitude, v128.load32_splat(EXPONENT_112)), i32x4.shl(subnormal, 23));
    return v128.or(f32x4.sub(rebased, v128.and(subnormal, v128.load32_splat(NORMAL))), sign);
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

for (let bits: u32 = 0; bits < 65536; bits++) store<f32>(FLOATS + (bits << 2), Half.toFloat(bits));
