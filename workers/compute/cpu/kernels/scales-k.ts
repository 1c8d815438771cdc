/** Scales of 6 bits, which Q3_K, Q4_K and Q5_K pack into 12 bytes. */

import { Constants } from './constants';
export class ScalesK {
  /** The 16 scales of a Q3_K block as signed bytes. */
  @inline
  static q3(at: usize): v128 {
    const first = load<u32>(at);
    const second = load<u32>(at + 4);
    const high = load<u32>(at + 8);
    const words = i32x4(
      (first & 0x0f0f0f0f) | ((high & 0x03030303) << 4),
      (second & 0x0f0f0f0f) | (((high >> 2) & 0x03030303) << 4),
      ((first >> 4) & 0x0f0f0f0f) | (((high >> 4) & 0x03030303) << 4),
      ((second >> 4) & 0x0f0f0f0f) | (((high >> 6) & 0x03030303) << 4),
    );
    return i8x16.sub(words, Constants.bytes(32));
  }

  /** The 8 scales of a Q4_K or Q5_K block as bytes. */
  @inline
  static scales(at: usize): v128 {
    const first = load<u32>(at);
    const last = load<u32>(at + 8);
    const second = (last & 0x0f0f0f0f) | ((first >> 2) & 0x30303030);
    return i64x2.splat(<u64>(first & 0x3f3f3f3f) | ((<u64>second) << 32));
  }

  /** The 8 minima of a Q4_K or Q5_K block as bytes. */
  @inline
  static mins(at: usize): v128 {
    const second = load<u32>(at + 4);
    const last = ((load<u32>(at + 8) >> 4) & 0x0f0f0f0f) | ((second >> 2) & 0x30303030);
    return i64x2.splat(<u64>(second & 0x3f3f3f3f) | ((<u64>last) << 32));
  }
}
