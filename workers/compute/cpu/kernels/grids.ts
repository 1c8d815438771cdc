/** Tables of the IQ types. The grids are data of the format: the host writes them into memory once. */
export class Grids {
  static iq1: usize = 0;
  static iq2xxs: usize = 0;
  static iq2xs: usize = 0;
  static iq2s: usize = 0;
  static iq3xxs: usize = 0;
  static iq3s: usize = 0;

  /**
   * @param at the grids one after another, as signed bytes: IQ1 (2048 entries of 8), IQ2_XXS (256 of 8), IQ2_XS (512 of
   * 8), IQ2_S (1024 of 8), IQ3_XXS (256 of 4), IQ3_S (512 of 4)
   */
  static place(at: usize): void {
    Grids.iq1 = at;
    Grids.iq2xxs = Grids.iq1 + 2048 * 8;
    Grids.iq2xs = Grids.iq2xxs + 256 * 8;
    Grids.iq2s = Grids.iq2xs + 512 * 8;
    Grids.iq3xxs = Grids.iq2s + 1024 * 8;
    Grids.iq3s = Grids.iq3xxs + 256 * 4;
  }

  /** The 16 values of IQ4_NL and IQ4_XS. */
  @inline
  static iq4(): v128 {
    return v128(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);
  }

  /** Seven signs, and an eighth that makes the number of minus signs even. */
  @inline
  static evenSigns(seven: u32): u32 {
    return seven | ((popcnt(seven) & 1) << 7);
  }

  /** Two entries of a grid with 4 bytes per entry, as one octet. */
  @inline
  static pair(grid: usize, first: u32, second: u32): v128 {
    const both = <u64>load<u32>(grid + (first << 2)) | ((<u64>load<u32>(grid + (second << 2))) << 32);
    return i16x8.extend_low_i8x16_s(i64x2.splat(both));
  }
}
