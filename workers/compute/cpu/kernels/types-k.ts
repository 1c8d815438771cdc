/**
 * The k-quants, with blocks of 256 weights. A class per type, whose methods are inlined into the products.
 *
 * A weight is `scale * factor * octet - offset`: `scale` is the block's, `factor` an integer for 16 or 32 neighbouring
 * weights, and `octet` has 8 integers. `factor * octet` has at most 13 bits, so 8 products with 16-bit inputs add up
 * exactly in 32 bits.
 *
 * Arguments: planes `a` to `d` in the order of WEIGHT_TYPES, the block's number `n`, counted row after row, the octet's
 * number `o` and the number `h` of 16 weights within the block. `fine` types have a factor for each 16 weights, the
 * others for each 32.
 */
import { Half } from './half';
import { Lanes } from './lanes';
import { ScalesK } from './scales-k';

export class Q2_K {
  @inline
  octet(a: usize, b: usize, c: usize, d: usize, n: usize, o: i32): v128 {
    const j = o >> 2;
    const quants = v128.load_ext<u8>(a + (n << 6) + ((j >> 2) << 5) + ((o & 3) << 3));
    return v128.and(i16x8.shr_u(quants, (j & 3) << 1), i16x8.splat(3));
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(c + (n << 2));
  }

  @inline
  factor(a: usize, b: usize, c: usize, d: usize, n: usize, h: i32): i32 {
    return <i32>load<u8>(b + (n << 4) + h) & 15;
  }

  @inline
  factors(a: usize, b: usize, c: usize, d: usize, n: usize, out: usize): void {
    Lanes.storeBytes(out, v128.and(v128.load(b + (n << 4)), i8x16.splat(15)), Half.load(c + (n << 2)));
  }

  @inline
  offsets(a: usize, b: usize, c: usize, d: usize, n: usize, out: usize): void {
    Lanes.storeBytes(out, i8x16.shr_u(v128.load(b + (n << 4)), 4), Half.load(c + (n << 2) + 2));
  }
}

export class Q3_K {
  @inline
  octet(a: usize, b: usize, c: usize, d: usize, n: usize, o: i32): v128 {
    const j = o >> 2;
    const quants = v128.load_ext<u8>(a + (n << 6) + ((j >> 2) << 5) + ((o & 3) << 3));
    const low = v128.and(i16x8.shr_u(quants, (j & 3) << 1), i16x8.splat(3));
    const mask = v128.load_ext<u8>(b + (n << 5) + ((o & 3) << 3));
    const high = v128.and(i16x8.shl(i16x8.shr_u(mask, j), 2), i16x8.splat(4));
    return i16x8.sub(v128.or(low, high), i16x8.splat(4));
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(d + (n << 1));
  }

  @inline
  factor(a: usize, b: usize, c: usize, d: usize, n: usize, h: i32): i32 {
    const scales = c + n * 12;
    const low = (<i32>load<u8>(scales + (h & 7)) >> ((h >> 3) << 2)) & 15;
    const high = (<i32>load<u8>(scales + 8 + (h & 3)) >> ((h >> 2) << 1)) & 3;
    return (low | (high << 4)) - 32;
  }

  @inline
  factors(a: usize, b: usize, c: usize, d: usize, n: usize, out: usize): void {
    Lanes.storeBytes(out, ScalesK.q3(c + n * 12), Half.load(d + (n << 1)));
  }
}

export class Q4_K {
  @inline
  octet(a: usize, b: usize, c: usize, d: usize, n: usize, o: i32): v128 {
    const j = o >> 2;
    return Lanes.nibbles(a + (n << 7) + ((j >> 1) << 5) + ((o & 3) << 3), (j & 1) == 1);
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(b + (n << 4));
  }

  @inline
  factor(a: usize, b: usize, c: usize, d: usize, n: usize, h: i32): i32 {
    return ScalesK.scale(b + (n << 4) + 4, h >> 1);
  }

  @inline
  factors(a: usize, b: usize, c: usize, d: usize, n: usize, out: usize): void {
    ScalesK.storeScales(out, b + (n << 4) + 4, Half.load(b + (n << 4)));
  }

  @inline
  offsets(a: usize, b: usize, c: usize, d: usize, n: usize, out: usize): void {
    ScalesK.storeMins(out, b + (n << 4) + 4, Half.load(b + (n << 4) + 2));
  }
}

export class Q5_K {
  @inline
  octet(a: usize, b: usize, c: usize, d: usize, n: usize, o: i32): v128 {
    const j = o >> 2;
    const low = Lanes.nibbles(a + (n << 7) + ((j >> 1) << 5) + ((o & 3) << 3), (j & 1) == 1);
    const mask = v128.load_ext<u8>(b + (n << 5) + ((o & 3) << 3));
    const high = v128.and(i16x8.shl(i16x8.shr_u(mask, j), 4), i16x8.splat(16));
    return v128.or(low, high);
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(c + (n << 4));
  }

  @inline
  factor(a: usize, b: usize, c: usize, d: usize, n: usize, h: i32): i32 {
    return ScalesK.scale(c + (n << 4) + 4, h >> 1);
  }

  @inline
  factors(a: usize, b: usize, c: usize, d: usize, n: usize, out: usize): void {
    ScalesK.storeScales(out, c + (n << 4) + 4, Half.load(c + (n << 4)));
  }

  @inline
  offsets(a: usize, b: usize, c: usize, d: usize, n: usize, out: usize): void {
    ScalesK.storeMins(out, c + (n << 4) + 4, Half.load(c + (n << 4) + 2));
  }
}

export class Q6_K {
  @inline
  octet(a: usize, b: usize, c: usize, d: usize, n: usize, o: i32): v128 {
    const j = o >> 2;
    const r = j & 3;
    const low = Lanes.nibbles(a + (n << 7) + ((j >> 2) << 6) + ((r & 1) << 5) + ((o & 3) << 3), r > 1);
    const mask = v128.load_ext<u8>(b + (n << 6) + ((j >> 2) << 5) + ((o & 3) << 3));
    const high = v128.and(i16x8.shl(i16x8.shr_u(mask, r << 1), 4), i16x8.splat(48));
    return i16x8.sub(v128.or(low, high), i16x8.splat(32));
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(d + (n << 1));
  }

  @inline
  factor(a: usize, b: usize, c: usize, d: usize, n: usize, h: i32): i32 {
    return <i32>load<i8>(c + (n << 4) + h);
  }

  @inline
  factors(a: usize, b: usize, c: usize, d: usize, n: usize, out: usize): void {
    Lanes.storeBytes(out, v128.load(c + (n << 4)), Half.load(d + (n << 1)));
  }
}
