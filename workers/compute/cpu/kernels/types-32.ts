/**
 * Types with blocks of 32 weights. A class per type, whose methods are inlined into the products.
 *
 * A weight is `scale * (field - bias) - min`: `field` is an integer, `scale` and `min` are the block's. Sixteen
 * neighbouring fields are one word of 16 bytes.
 *
 * Arguments: planes `a` to `d` in the order of WEIGHT_TYPES, the block's number `n`, counted row after row, and the
 * word's number `k` in the block, 0 or 1.
 *
 * - `word`: byte i has field i. `bits` bits of it from bit `shift` on; other bits may be set, unless there are 8.
 * - `scales`, `mins`: of blocks n to n + 3.
 */
import { Constants } from './constants';
import { Grids } from './grids';
import { Half } from './half';
import { Lanes } from './lanes';

/** Twice the values of MXFP4. */
const FP4: usize = memory.data<i8>([0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12], 16);

export class Q8_0 {
  @inline
  word(a: usize, b: usize, c: usize, d: usize, n: usize, k: i32): v128 {
    return v128.load(a + (n << 5) + (k << 4));
  }

  @inline
  shift(k: i32): i32 {
    return 0;
  }

  @inline
  scales(a: usize, b: usize, c: usize, d: usize, n: usize): v128 {
    return Half.load4(b + (n << 1));
  }
}

export class Q4_0 {
  @inline
  word(a: usize, b: usize, c: usize, d: usize, n: usize, k: i32): v128 {
    return v128.load(a + (n << 4));
  }

  @inline
  shift(k: i32): i32 {
    return k << 2;
  }

  @inline
  scales(a: usize, b: usize, c: usize, d: usize, n: usize): v128 {
    return Half.load4(b + (n << 1));
  }
}

export class Q4_1 {
  @inline
  word(a: usize, b: usize, c: usize, d: usize, n: usize, k: i32): v128 {
    return v128.load(a + (n << 4));
  }

  @inline
  shift(k: i32): i32 {
    return k << 2;
  }

  @inline
  scales(a: usize, b: usize, c: usize, d: usize, n: usize): v128 {
    return Half.toFloats(v128.load(b + (n << 2)));
  }

  @inline
  mins(a: usize, b: usize, c: usize, d: usize, n: usize): v128 {
    return f32x4.neg(Half.toFloats(i32x4.shr_u(v128.load(b + (n << 2)), 16)));
  }
}

export class Q5_0 {
  @inline
  word(a: usize, b: usize, c: usize, d: usize, n: usize, k: i32): v128 {
    const low = Lanes.nibbles(v128.load(a + (n << 4)), k);
    const high = Lanes.ofBits(load<u16>(b + (n << 2) + (k << 1)));
    return v128.or(low, v128.and(high, Constants.bytes(16)));
  }

  @inline
  shift(k: i32): i32 {
    return 0;
  }

  @inline
  scales(a: usize, b: usize, c: usize, d: usize, n: usize): v128 {
    return Half.load4(c + (n << 1));
  }
}

export class Q5_1 {
  @inline
  word(a: usize, b: usize, c: usize, d: usize, n: usize, k: i32): v128 {
    const low = Lanes.nibbles(v128.load(a + (n << 4)), k);
    const high = Lanes.ofBits(load<u16>(b + (n << 2) + (k << 1)));
    return v128.or(low, v128.and(high, Constants.bytes(16)));
  }

  @inline
  shift(k: i32): i32 {
    return 0;
  }

  @inline
  scales(a: usize, b: usize, c: usize, d: usize, n: usize): v128 {
    return Half.toFloats(v128.load(c + (n << 2)));
  }

  @inline
  mins(a: usize, b: usize, c: usize, d: usize, n: usize): v128 {
    return f32x4.neg(Half.toFloats(i32x4.shr_u(v128.load(c + (n << 2)), 16)));
  }
}

export class IQ4_NL {
  @inline
  word(a: usize, b: usize, c: usize, d: usize, n: usize, k: i32): v128 {
    return i8x16.swizzle(Grids.iq4(), Lanes.nibbles(v128.load(a + (n << 4)), k));
  }

  @inline
  shift(k: i32): i32 {
    return 0;
  }

  @inline
  scales(a: usize, b: usize, c: usize, d: usize, n: usize): v128 {
    return Half.load4(b + (n << 1));
  }
}

export class MXFP4 {
  @inline
  word(a: usize, b: usize, c: usize, d: usize, n: usize, k: i32): v128 {
    return i8x16.swizzle(v128.load(FP4), Lanes.nibbles(v128.load(a + (n << 4)), k));
  }

  @inline
  shift(k: i32): i32 {
    return 0;
  }

  /** 2^(e - 128), which is subnormal for the exponents 0 and 1. */
  @inline
  scales(a: usize, b: usize, c: usize, d: usize, n: usize): v128 {
    const e = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(b + n)));
    const normal = i32x4.shl(i32x4.sub(e, i32x4.splat(1)), 23);
    const subnormal = i32x4.shl(i32x4.add(e, i32x4.splat(1)), 21);
    return v128.bitselect(subnormal, normal, i32x4.lt_u(e, i32x4.splat(2)));
  }
}
