/**
 * Types with blocks of 32 weights. A class per type, whose methods are inlined into the products.
 *
 * A weight is `scale * factor * octet - offset`: `scale` is the block's, `factor` an integer for 16 or 32 neighbouring
 * weights, and `octet` has 8 integers. `factor * octet` has at most 13 bits, so 8 products with 16-bit inputs add up
 * exactly in 32 bits.
 *
 * Arguments: planes `a` to `d` in the order of WEIGHT_TYPES, the block's number `n`, counted row after row, the octet's
 * number `o` and the number `h` of 16 weights within the block. `fine` types have a factor for each 16 weights, the
 * others for each 32.
 */
import { Grids } from './grids';
import { Half } from './half';
import { Lanes } from './lanes';

export class Q8_0 {
  @inline
  octet(a: usize, b: usize, c: usize, d: usize, n: usize, o: i32): v128 {
    return v128.load_ext<i8>(a + (n << 5) + (o << 3));
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(b + (n << 1));
  }
}

export class Q4_0 {
  @inline
  octet(a: usize, b: usize, c: usize, d: usize, n: usize, o: i32): v128 {
    return i16x8.sub(Lanes.nibbles(a + (n << 4) + ((o & 1) << 3), o > 1), i16x8.splat(8));
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(b + (n << 1));
  }
}

export class Q4_1 {
  @inline
  octet(a: usize, b: usize, c: usize, d: usize, n: usize, o: i32): v128 {
    return Lanes.nibbles(a + (n << 4) + ((o & 1) << 3), o > 1);
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(b + (n << 2));
  }

  @inline
  offsets(a: usize, b: usize, c: usize, d: usize, n: usize, out: usize): void {
    store<f32>(out, -Half.load(b + (n << 2) + 2));
  }
}

export class Q5_0 {
  @inline
  octet(a: usize, b: usize, c: usize, d: usize, n: usize, o: i32): v128 {
    const high = v128.and(Lanes.ofBits(load<u8>(b + (n << 2) + o)), i16x8.splat(16));
    return i16x8.sub(v128.or(Lanes.nibbles(a + (n << 4) + ((o & 1) << 3), o > 1), high), i16x8.splat(16));
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(c + (n << 1));
  }
}

export class Q5_1 {
  @inline
  octet(a: usize, b: usize, c: usize, d: usize, n: usize, o: i32): v128 {
    const high = v128.and(Lanes.ofBits(load<u8>(b + (n << 2) + o)), i16x8.splat(16));
    return v128.or(Lanes.nibbles(a + (n << 4) + ((o & 1) << 3), o > 1), high);
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(c + (n << 2));
  }

  @inline
  offsets(a: usize, b: usize, c: usize, d: usize, n: usize, out: usize): void {
    store<f32>(out, -Half.load(c + (n << 2) + 2));
  }
}

export class IQ4_NL {
  @inline
  octet(a: usize, b: usize, c: usize, d: usize, n: usize, o: i32): v128 {
    return Lanes.lookUp(a + (n << 4) + ((o & 1) << 3), o > 1, Grids.iq4());
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(b + (n << 1));
  }
}

export class MXFP4 {
  @inline
  octet(a: usize, b: usize, c: usize, d: usize, n: usize, o: i32): v128 {
    return Lanes.lookUp(
      a + (n << 4) + ((o & 1) << 3),
      o > 1,
      v128(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12),
    );
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    const e = <u32>load<u8>(b + n);
    return reinterpret<f32>(e < 2 ? 0x00200000 << e : (e - 1) << 23);
  }
}
