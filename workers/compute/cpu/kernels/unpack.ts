/**
 * From a word, 16 neighbouring fields as bytes, to 16-bit lanes: the 8 fields with even numbers, and the 8 with odd
 * ones. `Vector.quantize` writes inputs in the same order. Fields keep their `shift`.
 */
import { Constants } from './constants';
import { Traits } from './traits';
import { Q2_K, Q3_K, Q4_K } from './types-k';

/** f32[4, 4]: 2^-shift, in memory for the reason that `Constants` gives. */
const UNSHIFT: usize = memory.data<f32>(
  [1, 1, 0.25, 0.25, 0.0625, 0.0625, 0.015625, 0.015625, 0.0625, 0.0625, 0.0625, 0.0625, 1, 0.0625, 1, 0.0625],
  16,
);

export class Unpack {
  @inline
  static even<T>(word: v128, k: i32): v128 {
    if (Traits.signed<T>()) return i16x8.shr_s(i16x8.shl(word, 8), 8);
    return v128.and(word, Constants.shorts(Unpack.mask<T>(k)));
  }

  @inline
  static odd<T>(word: v128, k: i32): v128 {
    if (Traits.signed<T>()) return i16x8.shr_s(word, 8);
    const bytes = i16x8.shr_u(word, 8);
    return Traits.bits<T>() == 8 ? bytes : v128.and(bytes, Constants.shorts(Unpack.mask<T>(k)));
  }

  @inline
  static mask<T>(k: i32): i32 {
    if (Traits.bits<T>() == 8) return 255;
    const ones = (1 << Traits.bits<T>()) - 1;
    return ones << changetype<T>(0).shift(k);
  }

  /** True if fields of some words are shifted. */
  @inline
  static hasShifts<T>(): bool {
    return idof<T>() == idof<Q2_K>() || idof<T>() == idof<Q3_K>() || idof<T>() == idof<Q4_K>();
  }

  /** 2^-shift of the words of the four factors from 4 `i` on, for types with shifts. */
  @inline
  static unshift<T>(i: i32): v128 {
    if (idof<T>() == idof<Q4_K>()) return v128.load(UNSHIFT, 48);
    return v128.load(UNSHIFT + (i & 1 ? (idof<T>() == idof<Q3_K>() ? 32 : 16) : 0));
  }
}
