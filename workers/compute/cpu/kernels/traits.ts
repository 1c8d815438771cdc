/** What is known of a type at compile time, so that branches on it cost nothing. */

import { IQ4_NL, MXFP4, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 } from './types-32';
import { IQ1_M, IQ1_S, IQ2_S, IQ2_XS, IQ2_XXS, IQ3_S, IQ3_XXS, IQ4_XS } from './types-iq';
import { Q2_K, Q3_K, Q4_K, Q5_K, Q6_K } from './types-k';

export class Traits {
  /** True for blocks of 32 weights, false for blocks of 256. */
  @inline
  static small<T>(): bool {
    return (
      idof<T>() == idof<Q8_0>() ||
      idof<T>() == idof<Q4_0>() ||
      idof<T>() == idof<Q4_1>() ||
      idof<T>() == idof<Q5_0>() ||
      idof<T>() == idof<Q5_1>() ||
      idof<T>() == idof<IQ4_NL>() ||
      idof<T>() == idof<MXFP4>()
    );
  }

  /** True if there is a factor for each 16 weights. */
  @inline
  static fine<T>(): bool {
    return (
      idof<T>() == idof<Q2_K>() ||
      idof<T>() == idof<Q3_K>() ||
      idof<T>() == idof<Q6_K>() ||
      idof<T>() == idof<IQ1_M>() ||
      idof<T>() == idof<IQ2_XS>() ||
      idof<T>() == idof<IQ2_S>()
    );
  }

  @inline
  static hasMins<T>(): bool {
    return (
      idof<T>() == idof<Q2_K>() ||
      idof<T>() == idof<Q4_K>() ||
      idof<T>() == idof<Q5_K>() ||
      idof<T>() == idof<Q4_1>() ||
      idof<T>() == idof<Q5_1>()
    );
  }

  /** What is subtracted from each field. */
  @inline
  static bias<T>(): i32 {
    if (idof<T>() == idof<Q3_K>()) return 4;
    if (idof<T>() == idof<Q4_0>()) return 8;
    if (idof<T>() == idof<Q5_0>()) return 16;
    return idof<T>() == idof<Q6_K>() ? 32 : 0;
  }

  /** True if the sum of 32 products of `factor * (field - bias)` and inputs may exceed 32 bits; 16 never do. */
  @inline
  static wide<T>(): bool {
    return idof<T>() == idof<Q6_K>();
  }

  /** True if a word's bytes have a sign. */
  @inline
  static signed<T>(): bool {
    return (
      idof<T>() == idof<Q8_0>() ||
      idof<T>() == idof<IQ4_NL>() ||
      idof<T>() == idof<MXFP4>() ||
      idof<T>() == idof<IQ1_S>() ||
      idof<T>() == idof<IQ1_M>() ||
      idof<T>() == idof<IQ2_XXS>() ||
      idof<T>() == idof<IQ2_XS>() ||
      idof<T>() == idof<IQ2_S>() ||
      idof<T>() == idof<IQ3_XXS>() ||
      idof<T>() == idof<IQ3_S>() ||
      idof<T>() == idof<IQ4_XS>()
    );
  }

  /** Bits of a field in a word; 8 if no others are set. */
  @inline
  static bits<T>(): i32 {
    if (idof<T>() == idof<Q2_K>()) return 2;
    return idof<T>() == idof<Q4_K>() || idof<T>() == idof<Q4_0>() || idof<T>() == idof<Q4_1>() ? 4 : 8;
  }
}
