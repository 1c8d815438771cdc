/** Tables of the IQ types. The grids are data of the format: the host writes them into memory once. */

/** i8[4, 16]: what is added to two entries of the IQ1 grid, by a bit for each of them. */
const SHIFTS: usize = memory.data<i8>(
  [
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1, -1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
  ],
  16,
);

const IQ4: usize = memory.data<i8>([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], 16);

export class Grids {
  static iq1: usize = 0;
  static iq2xxs: usize = 0;
  static iq2xs: usize = 0;
  static iq2s: usize = 0;
  static iq3xxs: usize = 0;
  static iq3s: usize = 0;

  /**
   * @param at the grids one after another, as signed bytes: IQ1 (2048 entries of 8), IQ2_XXS (256 of 8), IQ2_XS (512 of
   * 8), IQ2_S (1024 of 8), IQ3_XXS (256 of 4), IQ3_S (512 of 4). The entries of IQ1 are multiplied by 8, because an
   * eighth is added to them or subtracted.
   */
  static place(at: usize): void {
    Grids.iq1 = at;
    Grids.iq2xxs = Grids.iq1 + 2048 * 8;
    Grids.iq2xs = Grids.iq2xxs + 256 * 8;
    Grids.iq2s = Grids.iq2xs + 512 * 8;
    Grids.iq3xxs = Grids.iq2s + 1024 * 8;
    Grids.iq3s = Grids.iq3xxs + 256 * 4;
    for (let i = Grids.iq1; i < Grids.iq2xxs; i++) store<i8>(i, load<i8>(i) << 3);
  }

  /** The 16 values of IQ4_NL and IQ4_XS. */
  @inline
  static iq4(): v128 {
    return v128.load(IQ4);
  }

  /** -1 or 1 for each byte of two entries of the IQ1 grid: -1 if the entry's bit is set. */
  @inline
  static shifts(first: u32, second: u32): v128 {
    return v128.load(SHIFTS + (first << 4) + (second << 5));
  }

  /** Twice seven signs, the second above the first, each with an eighth that makes the number of minus signs even. */
  @inline
  static evenSigns2(fourteen: u32): u32 {
    const first = fourteen & 127;
    const second = (fourteen >> 7) & 127;
    return first | ((popcnt(first) & 1) << 7) | (second << 8) | ((popcnt(second) & 1) << 15);
  }

  /** Two entries of a grid with 8 bytes per entry. */
  @inline
  static pair(grid: usize, first: u32, second: u32): v128 {
    return v128.load64_lane(grid + (second << 3), v128.load64_zero(grid + (first << 3)), 1);
  }

  /** Four entries of a grid with 4 bytes per entry. */
  @inline
  static four(grid: usize, e0: u32, e1: u32, e2: u32, e3: u32): v128 {
    const two = v128.load32_lane(grid + (e1 << 2), v128.load32_zero(grid + (e0 << 2)), 1);
    return v128.load32_lane(grid + (e3 << 2), v128.load32_lane(grid + (e2 << 2), two, 2), 3);
  }
}
