/** Scales of 6 bits, which Q3_K, Q4_K and Q5_K pack into 12 bytes. */
import { Lanes } from './lanes';

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
    return i8x16.sub(words, i8x16.splat(32));
  }

  /** Stores the 8 scales of a Q4_K or Q5_K block times `factor` as f32[8]. */
  @inline
  static storeScales(out: usize, at: usize, factor: f32): void {
    const first = load<u32>(at);
    const last = load<u32>(at + 8);
    const f = f32x4.splat(factor);
    v128.store(out, f32x4.mul(Lanes.floatsOfBytes(first & 0x3f3f3f3f), f));
    v128.store(out, f32x4.mul(Lanes.floatsOfBytes((last & 0x0f0f0f0f) | ((first >> 2) & 0x30303030)), f), 16);
  }

  /** Stores the 8 minima of a Q4_K or Q5_K block times `factor` as f32[8]. */
  @inline
  static storeMins(out: usize, at: usize, factor: f32): void {
    const second = load<u32>(at + 4);
    const last = load<u32>(at + 8);
    const f = f32x4.splat(factor);
    v128.store(out, f32x4.mul(Lanes.floatsOfBytes(second & 0x3f3f3f3f), f));
    v128.store(out, f32x4.mul(Lanes.floatsOfBytes(((last >> 4) & 0x0f0f0f0f) | ((second >> 2) & 0x30303030)), f), 16);
  }

  /** Scale `j` (0 to 7) of a Q4_K or Q5_K block. */
  @inline
  static scale(at: usize, j: i32): i32 {
    if (j < 4) return <i32>load<u8>(at + j) & 63;
    return (<i32>load<u8>(at + j + 4) & 15) | ((<i32>load<u8>(at + j - 4) >> 6) << 4);
  }
}
