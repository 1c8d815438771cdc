/**
 * One token: a quantized matrix times a vector. Integers within a block are multiplied exactly; a block's sums meet the
 * scales as f32.
 */
import { Lanes } from './lanes';
import { Traits } from './traits';

/** f32[16]: the factors of the block at hand, times its scale. */
const FACTORS: usize = memory.data(64, 16);
/** f32[16]: the offsets of the block at hand. */
const OFFSETS: usize = memory.data(64, 16);

export class Matvec {
  /**
   * out[r] = sum over row r of weight times input.
   * @param blocks per row
   * @param x i16[columns], `scales` f32[columns / 32], `sums16` f32[columns / 16] and `sums32` f32[columns / 32] of one
   * token
   * @param out f32[rows]
   */
  @inline
  static run<T>(
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    rows: i32,
    blocks: i32,
    x: usize,
    scales: usize,
    sums16: usize,
    sums32: usize,
    out: usize,
  ): void {
    let n: usize = 0;
    for (let r = 0; r < rows; r++, n += blocks) {
      const sum = Traits.small<T>()
        ? Matvec.rowOfSmallBlocks<T>(a, b, c, d, n, blocks, x, scales, sums32)
        : Matvec.row<T>(a, b, c, d, n, blocks, x, scales, sums16, sums32);
      store<f32>(out + (r << 2), sum);
    }
  }

  @inline
  static row<T>(
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    first: usize,
    blocks: i32,
    x: usize,
    scales: usize,
    sums16: usize,
    sums32: usize,
  ): f32 {
    let acc = f32x4.splat(0);
    for (let n = first; n < first + blocks; n++) {
      Matvec.factors<T>(a, b, c, d, n);
      const p0 = f32x4.add(Matvec.group<T>(a, b, c, d, n, 0, x, scales), Matvec.group<T>(a, b, c, d, n, 1, x, scales));
      const p1 = f32x4.add(Matvec.group<T>(a, b, c, d, n, 2, x, scales), Matvec.group<T>(a, b, c, d, n, 3, x, scales));
      const p2 = f32x4.add(Matvec.group<T>(a, b, c, d, n, 4, x, scales), Matvec.group<T>(a, b, c, d, n, 5, x, scales));
      const p3 = f32x4.add(Matvec.group<T>(a, b, c, d, n, 6, x, scales), Matvec.group<T>(a, b, c, d, n, 7, x, scales));
      acc = f32x4.add(acc, f32x4.add(f32x4.add(p0, p1), f32x4.add(p2, p3)));
      if (Traits.hasOffsets<T>()) {
        changetype<T>(0).offsets(a, b, c, d, n, OFFSETS);
        acc = f32x4.sub(acc, Traits.fine<T>() ? Matvec.offsets16(sums16) : Matvec.offsets32(sums32));
      }
      x += 512;
      scales += 32;
      sums16 += 64;
      sums32 += 32;
    }
    return Lanes.sum(acc);
  }

  @inline
  static rowOfSmallBlocks<T>(
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    first: usize,
    blocks: i32,
    x: usize,
    scales: usize,
    sums32: usize,
  ): f32 {
    const t = changetype<T>(0);
    let acc = f32x4.splat(0);
    let offset: f32 = 0;
    for (let n = first; n < first + blocks; n++) {
      const sum = i32x4.add(Matvec.half<T>(a, b, c, d, n, 0, x), Matvec.half<T>(a, b, c, d, n, 1, x));
      const factor = t.scale(a, b, c, d, n) * load<f32>(scales);
      acc = f32x4.add(acc, f32x4.mul(f32x4.convert_i32x4_s(sum), f32x4.splat(factor)));
      if (Traits.hasOffsets<T>()) {
        t.offsets(a, b, c, d, n, OFFSETS);
        offset += load<f32>(OFFSETS) * load<f32>(sums32);
      }
      x += 64;
      scales += 4;
      sums32 += 4;
    }
    return Lanes.sum(acc) - offset;
  }

  /** Writes the factors of a block of 256, times its scale: one for each 16 or 32 weights. */
  @inline
  static factors<T>(a: usize, b: usize, c: usize, d: usize, n: usize): void {
    const t = changetype<T>(0);
    if (Traits.hasFactors<T>()) {
      t.factors(a, b, c, d, n, FACTORS);
    } else {
      const scale = t.scale(a, b, c, d, n);
      const count = Traits.fine<T>() ? 16 : 8;
      for (let i = 0; i < count; i++) {
        const factor = t.factor(a, b, c, d, n, Traits.fine<T>() ? i : i << 1);
        store<f32>(FACTORS + (i << 2), scale * <f32>factor);
      }
    }
  }

  /** The products of 16 weights and inputs in 4 integer lanes. */
  @inline
  static half<T>(a: usize, b: usize, c: usize, d: usize, n: usize, h: i32, x: usize): v128 {
    const t = changetype<T>(0);
    return i32x4.add(
      i32x4.dot_i16x8_s(t.octet(a, b, c, d, n, h * 2), v128.load(x + h * 32)),
      i32x4.dot_i16x8_s(t.octet(a, b, c, d, n, h * 2 + 1), v128.load(x + h * 32, 16)),
    );
  }

  /** The products of the 32 weights of group `g` of a block, scaled, in 4 lanes. */
  @inline
  static group<T>(a: usize, b: usize, c: usize, d: usize, n: usize, g: i32, x: usize, scales: usize): v128 {
    const first = Matvec.half<T>(a, b, c, d, n, g * 2, x);
    const second = Matvec.half<T>(a, b, c, d, n, g * 2 + 1, x);
    const scale = v128.load32_splat(scales + g * 4);
    if (Traits.fine<T>()) {
      const sum = f32x4.add(
        f32x4.mul(f32x4.convert_i32x4_s(first), v128.load32_splat(FACTORS + g * 8)),
        f32x4.mul(f32x4.convert_i32x4_s(second), v128.load32_splat(FACTORS + g * 8 + 4)),
      );
      return f32x4.mul(sum, scale);
    }
    const factor = f32x4.mul(v128.load32_splat(FACTORS + g * 4), scale);
    return f32x4.mul(f32x4.convert_i32x4_s(i32x4.add(first, second)), factor);
  }

  /** Offsets of 16 weights each, times the sums of their inputs, for a block of 256. */
  @inline
  static offsets16(sums: usize): v128 {
    return f32x4.add(
      f32x4.add(Matvec.offsets32(sums), f32x4.mul(v128.load(OFFSETS, 32), v128.load(sums, 32))),
      f32x4.mul(v128.load(OFFSETS, 48), v128.load(sums, 48)),
    );
  }

  /** Offsets of 32 weights each, times the sums of their inputs, for a block of 256. */
  @inline
  static offsets32(sums: usize): v128 {
    return f32x4.add(
      f32x4.mul(v128.load(OFFSETS), v128.load(sums)),
      f32x4.mul(v128.load(OFFSETS, 16), v128.load(sums, 16)),
    );
  }
}
