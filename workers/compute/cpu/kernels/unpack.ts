/**
 * From a word, 16 neighbouring fields as bytes, to 16-bit lanes: the 8 fields with even numbers, and the 8 with odd
 * ones. `Vector.quantize` writes inputs in the same order. Fields keep their `shift`.
 */
import { Constants } from './constants';
import { Traits } from './traits';

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

  /** 2^-shift of the words of the four factors from 4 `i` on. */
  @inline
  static unshift<T>(i: i32): v128 {
    const per = Traits.fine<T>() ? 1 : 2;
    const k = 4 * i * per;
    const t = changetype<T>(0);
    return f32x4(
      1 / <f32>(1 << t.shift(k)),
      1 / <f32>(1 << t.shift(k + per)),
      1 / <f32>(1 << t.shift(k + 2 * per)),
      1 / <f32>(1 << t.shift(k + 3 * per)),
    );
  }
}
