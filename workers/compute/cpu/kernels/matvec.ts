/**
 * One token: a quantized matrix times a vector. Integers within a block are multiplied exactly; a block's sums meet the
 * scales as f32.
 */
import { Lanes } from './lanes';
import { Inputs, Matrix } from './structs';
import { Traits } from './traits';
import { Unpack } from './unpack';

/** f32[4]: scales of the last blocks of a row. */
const SCALES: usize = memory.data(16, 16);

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
      const scale = f32x4.splat(t.scale(a, b, c, d, n));
      if (Traits.hasMins<T>()) {
        const mins = Matvec.dotBytes<T>(t.mins(a, b, c, d, n), sums);
        acc = f32x4.sub(acc, f32x4.mul(mins, f32x4.splat(t.minScale(a, b, c, d, n))));
      }
      if (Traits.bias<T>() > 0) {
        const biases = Matvec.dotBytes<T>(factors, sums);
        acc = f32x4.sub(acc, f32x4.mul(biases, f32x4.mul(scale, f32x4.splat(<f32>Traits.bias<T>()))));
      }
      const x0 = v128.load(scales);
      const x1 = v128.load(scales, 16);
      if (Traits.fine<T>()) {
        const p0 = Matvec.products<T>(a, b, c, d, n, 0, x, factors, scale, v128.shuffle<f32>(x0, x0, 0, 0, 1, 1));
        const p1 = Matvec.products<T>(a, b, c, d, n, 1, x, factors, scale, v128.shuffle<f32>(x0, x0, 2, 2, 3, 3));
        const p2 = Matvec.products<T>(a, b, c, d, n, 2, x, factors, scale, v128.shuffle<f32>(x1, x1, 0, 0, 1, 1));
        const p3 = Matvec.products<T>(a, b, c, d, n, 3, x, factors, scale, v128.shuffle<f32>(x1, x1, 2, 2, 3, 3));
        acc = f32x4.add(acc, f32x4.add(f32x4.add(p0, p1), f32x4.add(p2, p3)));
        sums += 64;
      } else {
        const p0 = Matvec.products<T>(a, b, c, d, n, 0, x, factors, scale, x0);
        const p1 = Matvec.products<T>(a, b, c, d, n, 1, x, factors, scale, x1);
        acc = f32x4.add(acc, f32x4.add(p0, p1));
        sums += 32;
      }
      x += 512;
      scales += 32;
    }
    return Lanes.sum(acc);
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

  /**
   * The products of four factors' weights, each in a lane: the factors from 4 `i` on.
   * @param x inputs of the block
   * @param inputScales of the four factors' inputs
   */
  @inline
  static products<T>(
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    n: usize,
    i: i32,
    x: usize,
    factors: v128,
    scale: v128,
    inputScales: v128,
  ): v128 {
    const sums = Lanes.integerSums(
      Matvec.dotOfFactor<T>(a, b, c, d, n, 4 * i, x),
      Matvec.dotOfFactor<T>(a, b, c, d, n, 4 * i + 1, x),
      Matvec.dotOfFactor<T>(a, b, c, d, n, 4 * i + 2, x),
      Matvec.dotOfFactor<T>(a, b, c, d, n, 4 * i + 3, x),
    );
    const unshifted = Unpack.hasShifts<T>() ? f32x4.mul(scale, Unpack.unshift<T>(i)) : scale;
    const scales = f32x4.mul(f32x4.mul(Lanes.floatsOfBytes(factors, i), unshifted), inputScales);
    return f32x4.mul(f32x4.convert_i32x4_s(sums), scales);
  }

  /** The products of the 16 or 32 weights that share factor `f`, in 4 integer lanes. */
  @inline
  static dotOfFactor<T>(a: usize, b: usize, c: usize, d: usize, n: usize, f: i32, x: usize): v128 {
    if (Traits.fine<T>()) return Matvec.half<T>(a, b, c, d, n, f, x);
    return i32x4.add(Matvec.half<T>(a, b, c, d, n, 2 * f, x), Matvec.half<T>(a, b, c, d, n, 2 * f + 1, x));
  }

  /** The products of word `k` of a block and its inputs in 4 integer lanes. @param x inputs of the block */
  @inline
  static half<T>(a: usize, b: usize, c: usize, d: usize, n: usize, k: i32, x: usize): v128 {
    const word = changetype<T>(0).word(a, b, c, d, n, k);
    return i32x4.add(
      i32x4.dot_i16x8_s(Unpack.even<T>(word, k), v128.load(x + (k << 5))),
      i32x4.dot_i16x8_s(Unpack.odd<T>(word, k), v128.load(x + (k << 5), 16)),
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
      if (n + 4 <= end) {
        const integers = Lanes.integerSums(
          Matvec.smallBlock<T>(a, b, c, d, n, x),
          Matvec.smallBlock<T>(a, b, c, d, n + 1, x + 64),
          Matvec.smallBlock<T>(a, b, c, d, n + 2, x + 128),
          Matvec.smallBlock<T>(a, b, c, d, n + 3, x + 192),
        );
        acc = f32x4.add(acc, f32x4.mul(f32x4.convert_i32x4_s(integers), factors));
      } else {
        v128.store(SCALES, factors);
        for (let i: usize = 0; i < end - n; i++) {
          const product = f32x4.convert_i32x4_s(Matvec.smallBlock<T>(a, b, c, d, n + i, x + (i << 6)));
          acc = f32x4.add(acc, f32x4.mul(product, v128.load32_splat(SCALES + (i << 2))));
        }
      }
    }
    return Lanes.sum(acc);
  }

  /** The products of block `n` and its inputs in 4 integer lanes. */
  @inline
  static smallBlock<T>(a: usize, b: usize, c: usize, d: usize, n: usize, x: usize): v128 {
    const shift = changetype<T>(0).shift(1);
    const first = Matvec.half<T>(a, b, c, d, n, 0, x);
    const second = Matvec.half<T>(a, b, c, d, n, 1, x);
    // Sums of fields that are shifted are multiples of 2^shift.
    return i32x4.add(first, shift > 0 ? i32x4.shr_s(second, shift) : second);
  }
}
