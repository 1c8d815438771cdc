/**
 * The k-quants, with blocks of 256 weights. A class per type, whose methods are inlined into the products.
 *
 * A weight is `scale * factor * (field - bias) - minScale * min`: `field` is an integer, `scale` and `minScale` are the
 * block's, and there is an integer `factor` and `min` for 16 weights (`fine` types) or 32. Sixteen neighbouring fields
 * are one word of 16 bytes.
 *
 * Arguments: planes `a` to `d` in the order of WEIGHT_TYPES, the block's number `n`, counted row after row, and the
 * word's number `k` in the block, a constant from 0 to 15.
 *
 * - `word`: byte i has field i. `bits` bits of it from bit `shift` on; other bits may be set, unless there are 8.
 * - `factors`, `mins`: 16 or 8 signed bytes.
 */
import { Constants } from './constants';
import { Half } from './half';
import { Lanes } from './lanes';
import { ScalesK } from './scales-k';

export class Q2_K {
  @inline
  word(a: usize, b: usize, c: usize, d: usize, n: usize, k: i32): v128 {
    return v128.load(a + (n << 6) + ((k >> 3) << 5) + ((k & 1) << 4));
  }

  @inline
  shift(k: i32): i32 {
    return k & 6;
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(c + (n << 2));
  }

  @inline
  factors(a: usize, b: usize, c: usize, d: usize, n: usize): v128 {
    return v128.and(v128.load(b + (n << 4)), Constants.bytes(15));
  }

  @inline
  minScale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(c + (n << 2) + 2);
  }

  @inline
  mins(a: usize, b: usize, c: usize, d: usize, n: usize): v128 {
    return Lanes.nibbles(v128.load(b + (n << 4)), 1);
  }
}

export class Q3_K {
  @inline
  word(a: usize, b: usize, c: usize, d: usize, n: usize, k: i32): v128 {
    const quants = v128.load(a + (n << 6) + ((k >> 3) << 5) + ((k & 1) << 4));
    const mask = v128.load(b + (n << 5) + ((k & 1) << 4));
    const shift = min(k & 6, 4);
    const three = 3 << shift;
    const four = 4 << shift;
    // Two bits of the quants and one of the mask, moved to bits `shift` to `shift` + 2 of each byte.
    const low = v128.and(Lanes.shift(quants, shift - (k & 6)), Constants.bytes(three));
    const high = v128.and(Lanes.shift(mask, shift + 2 - (k >> 1)), Constants.bytes(four));
    return v128.or(low, high);
  }

  @inline
  shift(k: i32): i32 {
    return min(k & 6, 4);
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(d + (n << 1));
  }

  @inline
  factors(a: usize, b: usize, c: usize, d: usize, n: usize): v128 {
    return ScalesK.q3(c + n * 12);
  }
}

export class Q4_K {
  @inline
  word(a: usize, b: usize, c: usize, d: usize, n: usize, k: i32): v128 {
    return v128.load(a + (n << 7) + ((k >> 2) << 5) + ((k & 1) << 4));
  }

  @inline
  shift(k: i32): i32 {
    return (k & 2) << 1;
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(b + (n << 4));
  }

  @inline
  factors(a: usize, b: usize, c: usize, d: usize, n: usize): v128 {
    return ScalesK.scales(b + (n << 4) + 4);
  }

  @inline
  minScale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(b + (n << 4) + 2);
  }

  @inline
  mins(a: usize, b: usize, c: usize, d: usize, n: usize): v128 {
    return ScalesK.mins(b + (n << 4) + 4);
  }
}

export class Q5_K {
  @inline
  word(a: usize, b: usize, c: usize, d: usize, n: usize, k: i32): v128 {
    const low = Lanes.nibbles(v128.load(a + (n << 7) + ((k >> 2) << 5) + ((k & 1) << 4)), (k >> 1) & 1);
    const mask = v128.load(b + (n << 5) + ((k & 1) << 4));
    return v128.or(low, v128.and(Lanes.shift(mask, 4 - (k >> 1)), Constants.bytes(16)));
  }

  @inline
  shift(k: i32): i32 {
    return 0;
  }

  @inline
  scale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(c + (n << 4));
  }

  @inline
  factors(a: usize, b: usize, c: usize, d: usize, n: usize): v128 {
    return ScalesK.scales(c + (n << 4) + 4);
  }

  @inline
  minScale(a: usize, b: usize, c: usize, d: usize, n: usize): f32 {
    return Half.load(c + (n << 4) + 2);
  }

  @inline
  mins(a: usize, b: usize, c: usize, d: usize, n: usize): v128 {
    return ScalesK.mins(c + (n << 4) + 4);
  }
}

export class Q6_K {
  @inline
  word(a: usize, b: usize, c: usize, d: usize, n: usize, k: i32): v128 {
    const low = Lanes.nibbles(v128.load(a + (n << 7) + ((k >> 3) << 6) + ((k & 3) << 4)), (k >> 2) & 1);
    const high = v128.load(b + (n << 6) + ((k >> 3) << 5) + ((k & 1) << 4));
    return v128.or(low, v128.and(Lanes.shift(high, 4 - (k & 6)), Constants.bytes(48)));
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
    return v128.load(c + (n << 4));
  }
}
