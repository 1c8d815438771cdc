/** What is known of a type at compile time, so that branches on it cost nothing. */

import { IQ4_NL, MXFP4, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 } from './types-32';
import { IQ1_M, IQ2_S, IQ2_XS } from './types-iq';
import { Q2_K, Q3_K, Q4_K, Q5_K, Q6_K } from './types-k';

export class Traits {
  /** True for blocks of 32 weights, false for blocks of 256. */
  @inline
  static small<T>(): bool {
    return (
      idof<T>() == idof<Q8_0>() ||
      idof<T>() == idof<Q4_0>() ||
      idof<T>() == idof<Q5_0>() ||
      idof<T>() == idof<IQ4_NL>() ||
      idof<T>() == idof<MXFP4>() ||
      Traits.smallWithOffsets<T>()
    );
  }

  @inline
  static smallWithOffsets<T>(): bool {
    return idof<T>() == idof<Q4_1>() || idof<T>() == idof<Q5_1>();
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
  static hasOffsets<T>(): bool {
    return (
      idof<T>() == idof<Q2_K>() ||
      idof<T>() == idof<Q4_K>() ||
      idof<T>() == idof<Q5_K>() ||
      Traits.smallWithOffsets<T>()
    );
  }

  /** True if the type unpacks its factors with SIMD, in a method `factors`. */
  @inline
  static hasFactors<T>(): bool {
    return (
      idof<T>() == idof<Q2_K>() ||
      idof<T>() == idof<Q3_K>() ||
      idof<T>() == idof<Q4_K>() ||
      idof<T>() == idof<Q5_K>() ||
      idof<T>() == idof<Q6_K>()
    );
  }
}
