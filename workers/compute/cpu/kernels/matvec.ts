/**
 * One token: a quantized matrix times a vector. Integers within a block are multiplied exactly; a block's sums meet the
 * scales as f32.
 */
import { Lanes } from './lanes';
import { Inputs, Matrix } from './structs';
import { Traits } from './traits';
import { Unpack } from './unpack';

/** f32[16]: for each 16 or 32 weights of the block at hand, the product of all scales of weights and inputs. */
const SCALES: usize = memory.data(64, 16);

export class Matvec {
  /**
   * out[r] = sum over row r of weight times input.
   * @param token number of the token in `inputs`
   * @param out f32[rows]
   */
  static run<T>(m: Matrix, rows: i32, columns: i32, inputs: Inputs, token: i32, out: usize): void {
    const at: usize = token * columns;
    const x = inputs.values + (at << 1);
    const scales = inputs.scales + (at >> 3);
    const sums = Traits.fine<T>() ? inputs.sums16 + (at >> 2) : inputs.sums32 + (at >> 3);
    const blocks = Traits.small<T>() ? columns >> 5 : columns >> 8;
    let n: usize = 0;
    for (let r = 0; r < rows; r++, n += blocks) {
      const sum = Traits.small<T>()
        ? Matvec.rowOfSmallBlocks<T>(m.a, m.b, m.c, m.d, n, blocks, x, scales, sums)
        : Matvec.row<T>(m.a, m.b, m.c, m.d, n, blocks, x, scales, sums);
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
    sums: usize,
  ): f32 {
    const t = changetype<T>(0);
    let acc = f32x4.splat(0);
    for (let n = first; n < first + blocks; n++) {
      const factors = t.factors(a, b, c, d, n);
      const scale = t.scale(a, b, c, d, n);
      Matvec.storeScales<T>(factors, scale, scales);
      if (Traits.hasMins<T>()) {
        const mins = Matvec.dotBytes<T>(t.mins(a, b, c, d, n), sums);
        acc = f32x4.sub(acc, f32x4.mul(mins, f32x4.splat(t.minScale(a, b, c, d, n))));
      }
      if (Traits.bias<T>() > 0) {
        const biases = Matvec.dotBytes<T>(factors, sums);
        acc = f32x4.sub(acc, f32x4.mul(biases, f32x4.splat(scale * <f32>Traits.bias<T>())));
      }
      const p0 = f32x4.add(Matvec.group<T>(a, b, c, d, n, 0, x), Matvec.group<T>(a, b, c, d, n, 1, x));
      const p1 = f32x4.add(Matvec.group<T>(a, b, c, d, n, 2, x), Matvec.group<T>(a, b, c, d, n, 3, x));
      const p2 = f32x4.add(Matvec.group<T>(a, b, c, d, n, 4, x), Matvec.group<T>(a, b, c, d, n, 5, x));
      const p3 = f32x4.add(Matvec.group<T>(a, b, c, d, n, 6, x), Matvec.group<T>(a, b, c, d, n, 7, x));
      acc = f32x4.add(acc, f32x4.add(f32x4.add(p0, p1), f32x4.add(p2, p3)));
      x += 512;
      scales += 32;
      sums += Traits.fine<T>() ? 64 : 32;
    }
    return Lanes.sum(acc);
  }

  /** Stores a block's `factors` times its scale, times the scales of the inputs. */
  @inline
  static storeScales<T>(factors: v128, scale: f32, scales: usize): void {
    const s = f32x4.splat(scale);
    const low = v128.load(scales);
    const high = v128.load(scales, 16);
    if (Traits.fine<T>()) {
      Matvec.store4<T>(factors, 0, s, v128.shuffle<f32>(low, low, 0, 0, 1, 1));
      Matvec.store4<T>(factors, 1, s, v128.shuffle<f32>(low, low, 2, 2, 3, 3));
      Matvec.store4<T>(factors, 2, s, v128.shuffle<f32>(high, high, 0, 0, 1, 1));
      Matvec.store4<T>(factors, 3, s, v128.shuffle<f32>(high, high, 2, 2, 3, 3));
    } else {
      Matvec.store4<T>(factors, 0, s, low);
      Matvec.store4<T>(factors, 1, s, high);
    }
  }

  @inline
  static store4<T>(factors: v128, i: i32, scale: v128, scales: v128): void {
    const unshifted = Unpack.hasShifts<T>() ? f32x4.mul(scale, Unpack.unshift<T>(i)) : scale;
    v128.store(SCALES + 16 * i, f32x4.mul(f32x4.mul(Lanes.floatsOfBytes(factors, i), unshifted), scales));
  }

  /** The sum of 16 or 8 bytes times floats, in four lanes. */
  @inline
  static dotBytes<T>(bytes: v128, x: usize): v128 {
    const low = f32x4.add(
      f32x4.mul(Lanes.floatsOfBytes(bytes, 0), v128.load(x)),
      f32x4.mul(Lanes.floatsOfBytes(bytes, 1), v128.load(x, 16)),
    );
    if (!Traits.fine<T>()) return low;
    const high = f32x4.add(
      f32x4.mul(Lanes.floatsOfBytes(bytes, 2), v128.load(x, 32)),
      f32x4.mul(Lanes.floatsOfBytes(bytes, 3), v128.load(x, 48)),
    );
    return f32x4.add(low, high);
  }

  /** The products of the 32 weights of group `g` of a block, scaled, in 4 lanes. */
  @inline
  static group<T>(a: usize, b: usize, c: usize, d: usize, n: usize, g: i32, x: usize): v128 {
    const first = Matvec.half<T>(a, b, c, d, n, g * 2, x + g * 64);
    const second = Matvec.half<T>(a, b, c, d, n, g * 2 + 1, x + g * 64 + 32);
    if (Traits.fine<T>()) {
      return f32x4.add(
        f32x4.mul(f32x4.convert_i32x4_s(first), v128.load32_splat(SCALES + g * 8)),
        f32x4.mul(f32x4.convert_i32x4_s(second), v128.load32_splat(SCALES + g * 8 + 4)),
      );
    }
    return f32x4.mul(f32x4.convert_i32x4_s(i32x4.add(first, second)), v128.load32_splat(SCALES + g * 4));
  }

  /** The products of 16 weights and inputs in 4 integer lanes. */
  @inline
  static half<T>(a: usize, b: usize, c: usize, d: usize, n: usize, k: i32, x: usize): v128 {
    const word = changetype<T>(0).word(a, b, c, d, n, k);
    return i32x4.add(
      i32x4.dot_i16x8_s(Unpack.even<T>(word, k), v128.load(x)),
      i32x4.dot_i16x8_s(Unpack.odd<T>(word, k), v128.load(x, 16)),
    );
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
    sums: usize,
  ): f32 {
    const t = changetype<T>(0);
    let acc = f32x4.splat(0);
    const end = first + blocks;
    for (let n = first; n < end; n += 4, x += 256, scales += 16, sums += 16) {
      const s = t.scales(a, b, c, d, n);
      const inside = Lanes.firstOf4(<i32>(end - n));
      const factors = f32x4.mul(s, v128.load(scales));
      if (Traits.hasMins<T>()) {
        acc = f32x4.sub(acc, v128.and(f32x4.mul(t.mins(a, b, c, d, n), v128.load(sums)), inside));
      }
      if (Traits.bias<T>() > 0) {
        const biases = f32x4.mul(f32x4.mul(s, f32x4.splat(<f32>Traits.bias<T>())), v128.load(sums));
        acc = f32x4.sub(acc, v128.and(biases, inside));
      }
      acc = f32x4.add(acc, Matvec.smallBlock<T>(a, b, c, d, n, x, v128.shuffle<f32>(factors, factors, 0, 0, 0, 0)));
      if (n + 4 <= end) {
        const f1 = v128.shuffle<f32>(factors, factors, 1, 1, 1, 1);
        const f2 = v128.shuffle<f32>(factors, factors, 2, 2, 2, 2);
        const f3 = v128.shuffle<f32>(factors, factors, 3, 3, 3, 3);
        const p1 = Matvec.smallBlock<T>(a, b, c, d, n + 1, x + 64, f1);
        const p2 = Matvec.smallBlock<T>(a, b, c, d, n + 2, x + 128, f2);
        acc = f32x4.add(f32x4.add(acc, p1), f32x4.add(p2, Matvec.smallBlock<T>(a, b, c, d, n + 3, x + 192, f3)));
      } else {
        v128.store(SCALES, factors);
        for (let i: usize = 1; i < end - n; i++) {
          const factor = v128.load32_splat(SCALES + (i << 2));
          acc = f32x4.add(acc, Matvec.smallBlock<T>(a, b, c, d, n + i, x + (i << 6), factor));
        }
      }
    }
    return Lanes.sum(acc);
  }

  /** The products of block `n`, in 4 lanes. */
  @inline
  static smallBlock<T>(a: usize, b: usize, c: usize, d: usize, n: usize, x: usize, factor: v128): v128 {
    const t = changetype<T>(0);
    const first = Matvec.half<T>(a, b, c, d, n, 0, x);
    const second = Matvec.half<T>(a, b, c, d, n, 1, x + 32);
    if (t.shift(0) == t.shift(1)) return f32x4.mul(f32x4.convert_i32x4_s(i32x4.add(first, second)), factor);
    const unshift = f32x4.splat(1 / <f32>(1 << t.shift(1)));
    const shifted = f32x4.mul(f32x4.convert_i32x4_s(second), unshift);
    return f32x4.mul(f32x4.add(f32x4.convert_i32x4_s(first), shifted), factor);
  }
}
