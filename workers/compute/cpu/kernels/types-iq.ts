/**
 * The IQ types with blocks of 256 weights: octets come from a grid. A class per type, whose methods are inlined into
 * the products.
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

export class IQ1_S {
  @inline
  octet(a: usize, b: usize, c: usize, d: usize, n: usize, o: i32): v128 {
    const qh = <u32>load<u16>(b + (n << 4) + ((o >> 2) << 1));
    const entry = <u32>load<u8>(a + (n << 5) + o) | (((qh >> ((o & 3) * 3)) & 7) << 8);
    const grid = i16x8.shl(v128.load_ext<i8>(Grids.iq1 + (entry << 3)), 3);
    return i16x8.add(grid, i16x8.splat(qh & 0x8000 ? -1 : 1));
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(c + (n << 1)) * 0.125;
  }

  @inline
  factor(a: usize, b: usize, c: usize, d: usize, n: usize, h: i32): i32 {
    return <i32>(((<u32>load<u16>(b + (n << 4) + ((h >> 1) << 1)) >> 12) & 7) << 1) + 1;
  }
}

export class IQ1_M {
  @inline
  octet(a: usize, b: usize, c: usize, d: usize, n: usize, o: i32): v128 {
    const high = Lanes.nibble(b + (n << 4), o);
    const entry = <u32>load<u8>(a + (n << 5) + o) | ((high & 7) << 8);
    const grid = i16x8.shl(v128.load_ext<i8>(Grids.iq1 + (entry << 3)), 3);
    return i16x8.add(grid, i16x8.splat(high & 8 ? -1 : 1));
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

  @inline
  factor(a: usize, b: usize, c: usize, d: usize, n: usize, h: i32): i32 {
    const word = <u32>load<u16>(c + (n << 3) + ((h >> 2) << 1));
    return <i32>(((word >> ((h & 3) * 3)) & 7) << 1) + 1;
  }
}

export class IQ2_XXS {
  @inline
  octet(a: usize, b: usize, c: usize, d: usize, n: usize, o: i32): v128 {
    const quants = a + (n << 6) + ((o >> 2) << 3);
    const packed = load<u32>(quants + 4);
    const grid = v128.load_ext<i8>(Grids.iq2xxs + ((<u32>load<u8>(quants + (o & 3))) << 3));
    return Lanes.signed(grid, Grids.evenSigns((packed >> (7 * (o & 3))) & 127));
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(b + (n << 1)) * 0.125;
  }

  @inline
  factor(a: usize, b: usize, c: usize, d: usize, n: usize, h: i32): i32 {
    return <i32>((load<u32>(a + (n << 6) + ((h >> 1) << 3) + 4) >> 28) << 1) + 1;
  }
}

export class IQ2_XS {
  @inline
  octet(a: usize, b: usize, c: usize, d: usize, n: usize, o: i32): v128 {
    const quant = <u32>load<u16>(a + (n << 6) + (o << 1));
    const grid = v128.load_ext<i8>(Grids.iq2xs + ((quant & 511) << 3));
    return Lanes.signed(grid, Grids.evenSigns(quant >> 9));
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(c + (n << 1)) * 0.125;
  }

  @inline
  factor(a: usize, b: usize, c: usize, d: usize, n: usize, h: i32): i32 {
    return <i32>(Lanes.nibble(b + (n << 3), h) << 1) + 1;
  }
}

export class IQ2_S {
  @inline
  octet(a: usize, b: usize, c: usize, d: usize, n: usize, o: i32): v128 {
    const high = (<u32>load<u8>(b + (n << 4) + (o >> 2)) >> ((o & 3) << 1)) & 3;
    const entry = <u32>load<u8>(a + (n << 6) + o) | (high << 8);
    const grid = v128.load_ext<i8>(Grids.iq2s + (entry << 3));
    return Lanes.signed(grid, load<u8>(a + (n << 6) + 32 + o));
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(c + (n << 1)) * 0.125;
  }

  @inline
  factor(a: usize, b: usize, c: usize, d: usize, n: usize, h: i32): i32 {
    return <i32>(Lanes.nibble(b + (n << 4) + 8, h) << 1) + 1;
  }
}

export class IQ3_XXS {
  @inline
  octet(a: usize, b: usize, c: usize, d: usize, n: usize, o: i32): v128 {
    const quants = a + (n << 6) + (o << 1);
    const packed = load<u32>(b + (n << 5) + ((o >> 2) << 2));
    const grid = Grids.pair(Grids.iq3xxs, load<u8>(quants), load<u8>(quants + 1));
    return Lanes.signed(grid, Grids.evenSigns((packed >> (7 * (o & 3))) & 127));
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(c + (n << 1)) * 0.25;
  }

  @inline
  factor(a: usize, b: usize, c: usize, d: usize, n: usize, h: i32): i32 {
    return <i32>((load<u32>(b + (n << 5) + ((h >> 1) << 2)) >> 28) << 1) + 1;
  }
}

export class IQ3_S {
  @inline
  octet(a: usize, b: usize, c: usize, d: usize, n: usize, o: i32): v128 {
    const quants = a + (n << 6) + (o << 1);
    const high = <u32>load<u8>(c + (n << 3) + (o >> 2)) >> ((o & 3) << 1);
    const grid = Grids.pair(
      Grids.iq3s,
      <u32>load<u8>(quants) | ((high & 1) << 8),
      <u32>load<u8>(quants + 1) | ((high & 2) << 7),
    );
    return Lanes.signed(grid, load<u8>(b + n * 36 + o));
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(d + (n << 1));
  }

  @inline
  factor(a: usize, b: usize, c: usize, d: usize, n: usize, h: i32): i32 {
    return <i32>(Lanes.nibble(b + n * 36 + 32, h >> 1) << 1) + 1;
  }
}

export class IQ4_XS {
  @inline
  octet(a: usize, b: usize, c: usize, d: usize, n: usize, o: i32): v128 {
    const i = o & 3;
    return Lanes.lookUp(a + (n << 7) + ((o >> 2) << 4) + ((i & 1) << 3), i > 1, Grids.iq4());
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(b + (n << 3));
  }

  @inline
  factor(a: usize, b: usize, c: usize, d: usize, n: usize, h: i32): i32 {
    const j = h >> 1;
    const header = b + (n << 3);
    const high = (<u32>load<u16>(header + 2) >> (j << 1)) & 3;
    return <i32>(Lanes.nibble(header + 4, j) | (high << 4)) - 32;
  }
}
