/**
 * Constant vectors in memory. V8 builds a vector constant anew at each use, with two shuffles; a load that copies 4
 * bytes to all lanes costs neither.
 */

/** u32[256]: each number as two 16-bit halves. */
const SHORTS: usize = memory.data(1024, 16);
/** u32[256]: each number as four bytes. */
const BYTES: usize = memory.data(1024, 16);

for (let i: u32 = 0; i < 256; i++) {
  store<u32>(SHORTS + (i << 2), i * 0x00010001);
  store<u32>(BYTES + (i << 2), i * 0x01010101);
}

export class Constants {
  /** `value`, 0 to 255, in all 16-bit lanes. */
  @inline
  static shorts(value: i32): v128 {
    return v128.load32_splat(SHORTS + (value << 2));
  }

  /** `value`, 0 to 255, in all bytes. */
  @inline
  static bytes(value: i32): v128 {
    return v128.load32_splat(BYTES + (value << 2));
  }
}
