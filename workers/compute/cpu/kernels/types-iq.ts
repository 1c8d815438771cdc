/**
 * The IQ types with blocks of 256 weights: fields come from a grid. A class per type, whose methods are inlined into
 * the products.
 *
 * A weight is `scale * factor * field`: `field` is an integer, `scale` is the block's, and there is an integer `factor`
 * for 16 weights (`fine` types) or 32. Sixteen neighbouring fields are one word of 16 bytes.
 *
 * Arguments: planes `a` to `d` in the order of WEIGHT_TYPES, the block's number `n`, counted row after row, and the
 * word's number `k` in the block, a constant from 0 to 15.
 *
 * - `word`: 16 signed bytes.
 * - `factors`: 16 or 8 signed bytes.
 */
import { Grids } from './grids';
import { Half } from './half';
import { Lanes } from './lanes';

export class IQ1_S {
  @inline
  word(a: usize, b: usize, c: usize, d: usize, n: usize, k: i32): v128 {
    const qh = <u32>load<u16>(b + (n << 4) + ((k >> 1) << 1));
    const high = qh >> ((k & 1) * 6);
    const quants = a + (n << 5) + (k << 1);
    const first = <u32>load<u8>(quants) | ((high & 7) << 8);
    const second = <u32>load<u8>(quants + 1) | ((high & 56) << 5);
    return i8x16.add(Grids.pair(Grids.iq1, first, second), Grids.shifts(qh >> 15, qh >> 15));
  }

  @inline
  shift(k: i32): i32 {
    return 0;
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(c + (n << 1)) * 0.125;
  }

  @inline
  factors(a: usize, b: usize, c: usize, d: usize, n: usize): v128 {
    const three = v128.and(i16x8.shr_u(v128.load(b + (n << 4)), 12), i16x8.splat(7));
    return Lanes.odd(i8x16.narrow_i16x8_u(three, three));
  }
}

export class IQ1_M {
  @inline
  word(a: usize, b: usize, c: usize, d: usize, n: usize, k: i32): v128 {
    const high = <u32>load<u8>(b + (n << 4) + k);
    const quants = a + (n << 5) + (k << 1);
    const first = <u32>load<u8>(quants) | ((high & 7) << 8);
    const second = <u32>load<u8>(quants + 1) | ((high & 0x70) << 4);
    return i8x16.add(Grids.pair(Grids.iq1, first, second), Grids.shifts((high >> 3) & 1, high >> 7));
  }

  @inline
  shift(k: i32): i32 {
    return 0;
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    const s = c + (n << 3);
    const bits =
      (<u32>load<u8>(s + 1) >> 4) |
      ((<u32>(load<u8>(s + 3) >> 4)) << 4) |
      ((<u32>(load<u8>(s + 5) >> 4)) << 8) |
      ((<u32>(load<u8>(s + 7) >> 4)) << 12);
    return Half.toFloat(bits) * 0.125;
  }

  /** Each of four 16-bit words has four fields of 3 bits. Multiplying moves each field to the top of its own lane. */
  @inline
  factors(a: usize, b: usize, c: usize, d: usize, n: usize): v128 {
    const words = v128.load64_zero(c + (n << 3));
    const toTop = i16x8(1 << 13, 1 << 10, 1 << 7, 1 << 4, 1 << 13, 1 << 10, 1 << 7, 1 << 4);
    const low = i16x8.mul(v128.shuffle<i16>(words, words, 0, 0, 0, 0, 1, 1, 1, 1), toTop);
    const high = i16x8.mul(v128.shuffle<i16>(words, words, 2, 2, 2, 2, 3, 3, 3, 3), toTop);
    return Lanes.odd(i8x16.narrow_i16x8_u(i16x8.shr_u(low, 13), i16x8.shr_u(high, 13)));
  }
}

export class IQ2_XXS {
  @inline
  word(a: usize, b: usize, c: usize, d: usize, n: usize, k: i32): v128 {
    const quants = a + (n << 6) + ((k >> 1) << 3);
    const signs = load<u32>(quants + 4) >> (14 * (k & 1));
    const at = quants + ((k & 1) << 1);
    return Lanes.signed(Grids.pair(Grids.iq2xxs, load<u8>(at), load<u8>(at + 1)), Grids.evenSigns2(signs));
  }

  @inline
  shift(k: i32): i32 {
    return 0;
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(b + (n << 1)) * 0.125;
  }

  @inline
  factors(a: usize, b: usize, c: usize, d: usize, n: usize): v128 {
    const at = a + (n << 6);
    const low = v128.shuffle<i32>(v128.load(at), v128.load(at, 16), 1, 3, 5, 7);
    const high = v128.shuffle<i32>(v128.load(at, 32), v128.load(at, 48), 1, 3, 5, 7);
    return Lanes.topNibbles(low, high);
  }
}

export class IQ2_XS {
  @inline
  word(a: usize, b: usize, c: usize, d: usize, n: usize, k: i32): v128 {
    const first = <u32>load<u16>(a + (n << 6) + (k << 2));
    const second = <u32>load<u16>(a + (n << 6) + (k << 2) + 2);
    const grid = Grids.pair(Grids.iq2xs, first & 511, second & 511);
    return Lanes.signed(grid, Grids.evenSigns2((first >> 9) | ((second >> 9) << 7)));
  }

  @inline
  shift(k: i32): i32 {
    return 0;
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(c + (n << 1)) * 0.125;
  }

  @inline
  factors(a: usize, b: usize, c: usize, d: usize, n: usize): v128 {
    return Lanes.odd(Lanes.allNibbles(v128.load64_zero(b + (n << 3))));
  }
}

export class IQ2_S {
  @inline
  word(a: usize, b: usize, c: usize, d: usize, n: usize, k: i32): v128 {
    const high = <u32>load<u8>(b + (n << 4) + (k >> 1)) >> ((k & 1) << 2);
    const quants = a + (n << 6) + (k << 1);
    const first = <u32>load<u8>(quants) | ((high & 3) << 8);
    const second = <u32>load<u8>(quants + 1) | ((high & 12) << 6);
    return Lanes.signed(Grids.pair(Grids.iq2s, first, second), load<u16>(quants + 32));
  }

  @inline
  shift(k: i32): i32 {
    return 0;
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(c + (n << 1)) * 0.125;
  }

  @inline
  factors(a: usize, b: usize, c: usize, d: usize, n: usize): v128 {
    return Lanes.odd(Lanes.allNibbles(v128.load64_zero(b + (n << 4) + 8)));
  }
}

export class IQ3_XXS {
  @inline
  word(a: usize, b: usize, c: usize, d: usize, n: usize, k: i32): v128 {
    const quants = load<u32>(a + (n << 6) + (k << 2));
    const grid = Grids.four(Grids.iq3xxs, quants & 255, (quants >> 8) & 255, (quants >> 16) & 255, quants >> 24);
    const signs = load<u32>(b + (n << 5) + ((k >> 1) << 2)) >> (14 * (k & 1));
    return Lanes.signed(grid, Grids.evenSigns2(signs));
  }

  @inline
  shift(k: i32): i32 {
    return 0;
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(c + (n << 1)) * 0.25;
  }

  @inline
  factors(a: usize, b: usize, c: usize, d: usize, n: usize): v128 {
    return Lanes.topNibbles(v128.load(b + (n << 5)), v128.load(b + (n << 5), 16));
  }
}

export class IQ3_S {
  @inline
  word(a: usize, b: usize, c: usize, d: usize, n: usize, k: i32): v128 {
    const quants = load<u32>(a + (n << 6) + (k << 2));
    const high = <u32>load<u8>(c + (n << 3) + (k >> 1)) >> ((k & 1) << 2);
    const grid = Grids.four(
      Grids.iq3s,
      (quants & 255) | ((high & 1) << 8),
      ((quants >> 8) & 255) | ((high & 2) << 7),
      ((quants >> 16) & 255) | ((high & 4) << 6),
      (quants >> 24) | ((high & 8) << 5),
    );
    return Lanes.signed(grid, load<u16>(b + n * 36 + (k << 1)));
  }

  @inline
  shift(k: i32): i32 {
    return 0;
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(d + (n << 1));
  }

  @inline
  factors(a: usize, b: usize, c: usize, d: usize, n: usize): v128 {
    return Lanes.odd(Lanes.allNibbles(v128.load32_zero(b + n * 36 + 32)));
  }
}

export class IQ4_XS {
  @inline
  word(a: usize, b: usize, c: usize, d: usize, n: usize, k: i32): v128 {
    return i8x16.swizzle(Grids.iq4(), Lanes.nibbles(v128.load(a + (n << 7) + ((k >> 1) << 4)), k & 1));
  }

  @inline
  shift(k: i32): i32 {
    return 0;
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(b + (n << 3));
  }

  /** 4 low bits each in 4 bytes, 2 high bits each in a 16-bit word, which multiplying moves to the top of a lane. */
  @inline
  factors(a: usize, b: usize, c: usize, d: usize, n: usize): v128 {
    const header = b + (n << 3);
    const toTop = i16x8(1 << 14, 1 << 12, 1 << 10, 1 << 8, 1 << 6, 1 << 4, 1 << 2, 1);
    const high = i16x8.shr_u(i16x8.mul(i16x8.splat(load<i16>(header + 2)), toTop), 14);
    const low = i16x8.extend_low_i8x16_u(Lanes.allNibbles(v128.load32_zero(header + 4)));
    const factors = i16x8.sub(v128.or(low, i16x8.shl(high, 4)), i16x8.splat(32));
    return i8x16.narrow_i16x8_s(factors, factors);
  }
}
