/**
 * Several tokens: a quantized matrix times their inputs. A tile of 4 rows and 256 columns is unpacked once, as integers
 * that include the factors within a block, and then multiplied with all tokens.
 */
import { Constants } from './constants';
import { Lanes } from './lanes';
import { Matvec } from './matvec';
import { Inputs, Matrix } from './structs';
import { Traits } from './traits';
import { Unpack } from './unpack';

/** i16[32 octets, 4 rows, 8]: the unpacked tile. */
const TILE: usize = memory.data(2048, 16);
/** f32[8 groups, 4 rows]: scales of the rows' blocks. */
const SCALES: usize = memory.data(128, 16);
/** f32[16, 4 rows]: offsets for each 16 or 32 columns. */
const OFFSETS: usize = memory.data(256, 16);
/** i16[16]: the factors of one block. */
const FACTORS: usize = memory.data(32, 16);
/** f32[16]: scales or offsets of one block. */
const SCRATCH: usize = memory.data(64, 16);
/** f32[4]: outputs of one token, if there are fewer than 4 rows. */
const FEW: usize = memory.data(16, 16);

export class Matmul {
  /**
   * out[t, r] = sum over row r of weight times input of token t.
   * @param columns a multiple of the type's block
   * @param out f32, the outputs of neighbouring tokens `stride` floats apart
   * @param tiled false: `Matvec` for each token. Either way, an output depends on its row and token only, not on the
   * other rows and tokens of the call, to the bit.
   */
  @inline
  static run<T>(
    matrix: Matrix,
    rows: i32,
    columns: i32,
    tokens: i32,
    inputs: Inputs,
    out: usize,
    stride: i32,
    tiled: bool,
  ): void {
    if (!tiled) Matmul.eachToken<T>(matrix, rows, columns, tokens, inputs, out, stride);
    else if (rows < 4) Matmul.fewRows<T>(matrix, rows, columns, tokens, inputs, out, stride);
    else {
      // The last tile may overlap the one before it, whose results it then repeats.
      for (let r = 0; r < rows; r += 4) {
        const first = min(r, rows - 4);
        Matmul.fourRows<T>(matrix, first, rows, columns, 0, tokens, inputs, out + (first << 2), stride);
      }
    }
  }

  static eachToken<T>(m: Matrix, rows: i32, columns: i32, tokens: i32, inputs: Inputs, out: usize, stride: i32): void {
    for (let t = 0; t < tokens; t++) Matvec.run<T>(m, rows, columns, inputs, t, out + ((t * stride) << 2));
  }

  /** A matrix of fewer than 4 rows. */
  static fewRows<T>(m: Matrix, rows: i32, columns: i32, tokens: i32, inputs: Inputs, out: usize, stride: i32): void {
    for (let t = 0; t < tokens; t++) {
      Matmul.fourRows<T>(m, 0, rows, columns, t, 1, inputs, FEW, 4);
      memory.copy(out + ((t * stride) << 2), FEW, rows << 2);
    }
  }

  /**
   * The four rows from `r` on; behind the last of `rows` it is taken again.
   * @param out f32[tokens, stride], of which the first 4 of each token are written
   */
  static fourRows<T>(
    m: Matrix,
    r: i32,
    rows: i32,
    columns: i32,
    firstToken: i32,
    tokens: i32,
    inputs: Inputs,
    out: usize,
    stride: i32,
  ): void {
    const blocks = Traits.small<T>() ? columns >> 5 : columns >> 8;
    for (let t = 0; t < tokens; t++) v128.store(out + ((t * stride) << 2), f32x4.splat(0));
    for (let column = 0; column < columns; column += 256) {
      const groups = min(8, (columns - column) >> 5);
      const block: usize = Traits.small<T>() ? column >> 5 : column >> 8;
      for (let row = 0; row < 4; row++) {
        const n = <usize>min(r + row, rows - 1) * blocks + block;
        if (Traits.small<T>()) Matmul.unpackSmallBlocks<T>(m, n, row, groups);
        else Matmul.unpack<T>(m, n, row);
      }
      let t = 0;
      for (; t + 1 < tokens; t += 2) {
        const at: usize = (firstToken + t) * columns + column;
        const to = out + ((t * stride) << 2);
        Matmul.twoTokens<T>(groups, inputs, at, at + columns, to, to + (stride << 2));
      }
      if (t < tokens) {
        const at: usize = (firstToken + t) * columns + column;
        Matmul.oneToken<T>(groups, inputs, at, out + ((t * stride) << 2));
      }
    }
  }

  /** Unpacks a block of 256 weights into row `row` of the tile. */
  @inline
  static unpack<T>(m: Matrix, n: usize, row: i32): void {
    const t = changetype<T>(0);
    const factors = t.factors(m.a, m.b, m.c, m.d, n);
    if (Traits.fine<T>()) {
      v128.store(FACTORS, i16x8.extend_low_i8x16_s(factors));
      v128.store(FACTORS, i16x8.extend_high_i8x16_s(factors), 16);
    }
    const to = TILE + row * 16;
    Matmul.group<T>(m, n, 0, to);
    Matmul.group<T>(m, n, 1, to);
    Matmul.group<T>(m, n, 2, to);
    Matmul.group<T>(m, n, 3, to);
    Matmul.group<T>(m, n, 4, to);
    Matmul.group<T>(m, n, 5, to);
    Matmul.group<T>(m, n, 6, to);
    Matmul.group<T>(m, n, 7, to);
    const scale = t.scale(m.a, m.b, m.c, m.d, n);
    if (Traits.fine<T>()) {
      for (let g = 0; g < 8; g++) store<f32>(SCALES + g * 16 + row * 4, scale);
    } else {
      const s = f32x4.splat(scale);
      v128.store(SCRATCH, f32x4.mul(Lanes.floatsOfBytes(factors, 0), s));
      v128.store(SCRATCH, f32x4.mul(Lanes.floatsOfBytes(factors, 1), s), 16);
      for (let g = 0; g < 8; g++) store<f32>(SCALES + g * 16 + row * 4, load<f32>(SCRATCH + g * 4));
    }
    if (Traits.hasMins<T>()) {
      const mins = t.mins(m.a, m.b, m.c, m.d, n);
      const minScale = f32x4.splat(t.minScale(m.a, m.b, m.c, m.d, n));
      const count = Traits.fine<T>() ? 16 : 8;
      v128.store(SCRATCH, f32x4.mul(Lanes.floatsOfBytes(mins, 0), minScale));
      v128.store(SCRATCH, f32x4.mul(Lanes.floatsOfBytes(mins, 1), minScale), 16);
      if (Traits.fine<T>()) {
        v128.store(SCRATCH, f32x4.mul(Lanes.floatsOfBytes(mins, 2), minScale), 32);
        v128.store(SCRATCH, f32x4.mul(Lanes.floatsOfBytes(mins, 3), minScale), 48);
      }
      for (let i = 0; i < count; i++) store<f32>(OFFSETS + i * 16 + row * 4, load<f32>(SCRATCH + i * 4));
    }
  }

  /** Unpacks group `g` of a block. */
  @inline
  static group<T>(m: Matrix, n: usize, g: i32, to: usize): void {
    Matmul.word<T>(m, n, g * 2, to + g * 256);
    Matmul.word<T>(m, n, g * 2 + 1, to + g * 256 + 128);
  }

  /** Unpacks a word into two octets. */
  @inline
  static word<T>(m: Matrix, n: usize, k: i32, to: usize): void {
    const t = changetype<T>(0);
    const word = t.word(m.a, m.b, m.c, m.d, n, k);
    let even = Unpack.even<T>(word, k);
    let odd = Unpack.odd<T>(word, k);
    if (t.shift(k) > 0) {
      even = i16x8.shr_u(even, t.shift(k));
      odd = i16x8.shr_u(odd, t.shift(k));
    }
    if (Traits.bias<T>() > 0) {
      const bias = Constants.shorts(Traits.bias<T>());
      even = i16x8.sub(even, bias);
      odd = i16x8.sub(odd, bias);
    }
    if (Traits.fine<T>()) {
      const factor = v128.load16_splat(FACTORS + k * 2);
      even = i16x8.mul(even, factor);
      odd = i16x8.mul(odd, factor);
    }
    v128.store(to, even);
    v128.store(to, odd, 64);
  }

  /** Unpacks up to 8 blocks of 32 weights into row `row` of the tile. */
  @inline
  static unpackSmallBlocks<T>(m: Matrix, first: usize, row: i32, groups: i32): void {
    const t = changetype<T>(0);
    for (let g = 0; g < groups; g++) {
      const n = first + g;
      const to = TILE + g * 256 + row * 16;
      Matmul.word<T>(m, n, 0, to);
      Matmul.word<T>(m, n, 1, to + 128);
    }
    v128.store(SCRATCH, t.scales(m.a, m.b, m.c, m.d, first));
    v128.store(SCRATCH, t.scales(m.a, m.b, m.c, m.d, first + 4), 16);
    for (let g = 0; g < groups; g++) store<f32>(SCALES + g * 16 + row * 4, load<f32>(SCRATCH + g * 4));
    if (Traits.hasMins<T>()) {
      v128.store(SCRATCH, t.mins(m.a, m.b, m.c, m.d, first));
      v128.store(SCRATCH, t.mins(m.a, m.b, m.c, m.d, first + 4), 16);
      for (let g = 0; g < groups; g++) store<f32>(OFFSETS + g * 16 + row * 4, load<f32>(SCRATCH + g * 4));
    }
  }

  /**
   * Adds the tile's products with two tokens to 4 outputs of each. `at0` and `at1` count inputs from the first token's
   * first.
   */
  @inline
  static twoTokens<T>(groups: i32, inputs: Inputs, at0: usize, at1: usize, out0: usize, out1: usize): void {
    let x = inputs.values + (at0 << 1);
    let y = inputs.values + (at1 << 1);
    let acc0 = v128.load(out0);
    let acc1 = v128.load(out1);
    let w = TILE;
    for (let g = 0; g < groups; g++, x += 64, y += 64, w += 256) {
      const x0 = v128.load(x);
      const y0 = v128.load(y);
      let a0 = i32x4.dot_i16x8_s(v128.load(w), x0);
      let b0 = i32x4.dot_i16x8_s(v128.load(w), y0);
      let a1 = i32x4.dot_i16x8_s(v128.load(w, 16), x0);
      let b1 = i32x4.dot_i16x8_s(v128.load(w, 16), y0);
      let a2 = i32x4.dot_i16x8_s(v128.load(w, 32), x0);
      let b2 = i32x4.dot_i16x8_s(v128.load(w, 32), y0);
      let a3 = i32x4.dot_i16x8_s(v128.load(w, 48), x0);
      let b3 = i32x4.dot_i16x8_s(v128.load(w, 48), y0);
      const x1 = v128.load(x, 16);
      const y1 = v128.load(y, 16);
      a0 = Matmul.addDot(a0, v128.load(w, 64), x1);
      b0 = Matmul.addDot(b0, v128.load(w, 64), y1);
      a1 = Matmul.addDot(a1, v128.load(w, 80), x1);
      b1 = Matmul.addDot(b1, v128.load(w, 80), y1);
      a2 = Matmul.addDot(a2, v128.load(w, 96), x1);
      b2 = Matmul.addDot(b2, v128.load(w, 96), y1);
      a3 = Matmul.addDot(a3, v128.load(w, 112), x1);
      b3 = Matmul.addDot(b3, v128.load(w, 112), y1);
      const x2 = v128.load(x, 32);
      const y2 = v128.load(y, 32);
      a0 = Matmul.addDot(a0, v128.load(w, 128), x2);
      b0 = Matmul.addDot(b0, v128.load(w, 128), y2);
      a1 = Matmul.addDot(a1, v128.load(w, 144), x2);
      b1 = Matmul.addDot(b1, v128.load(w, 144), y2);
      a2 = Matmul.addDot(a2, v128.load(w, 160), x2);
      b2 = Matmul.addDot(b2, v128.load(w, 160), y2);
      a3 = Matmul.addDot(a3, v128.load(w, 176), x2);
      b3 = Matmul.addDot(b3, v128.load(w, 176), y2);
      const x3 = v128.load(x, 48);
      const y3 = v128.load(y, 48);
      a0 = Matmul.addDot(a0, v128.load(w, 192), x3);
      b0 = Matmul.addDot(b0, v128.load(w, 192), y3);
      a1 = Matmul.addDot(a1, v128.load(w, 208), x3);
      b1 = Matmul.addDot(b1, v128.load(w, 208), y3);
      a2 = Matmul.addDot(a2, v128.load(w, 224), x3);
      b2 = Matmul.addDot(b2, v128.load(w, 224), y3);
      a3 = Matmul.addDot(a3, v128.load(w, 240), x3);
      b3 = Matmul.addDot(b3, v128.load(w, 240), y3);
      const scales = inputs.scales + g * 4;
      acc0 = f32x4.add(acc0, Matmul.scaledSums<T>(g, a0, a1, a2, a3, scales + (at0 >> 3)));
      acc1 = f32x4.add(acc1, Matmul.scaledSums<T>(g, b0, b1, b2, b3, scales + (at1 >> 3)));
    }
    if (Traits.hasMins<T>()) {
      acc0 = f32x4.sub(acc0, Matmul.offsets<T>(groups, inputs, at0));
      acc1 = f32x4.sub(acc1, Matmul.offsets<T>(groups, inputs, at1));
    }
    v128.store(out0, acc0);
    v128.store(out1, acc1);
  }

  /** Adds the tile's products with one token to 4 outputs, in the order of `twoTokens`. */
  @inline
  static oneToken<T>(groups: i32, inputs: Inputs, at: usize, out: usize): void {
    let x = inputs.values + (at << 1);
    let acc = v128.load(out);
    let w = TILE;
    for (let g = 0; g < groups; g++, x += 64, w += 256) {
      const x0 = v128.load(x);
      const x1 = v128.load(x, 16);
      const x2 = v128.load(x, 32);
      const x3 = v128.load(x, 48);
      const a0 = Matmul.rowOfGroup(w, x0, x1, x2, x3);
      const a1 = Matmul.rowOfGroup(w + 16, x0, x1, x2, x3);
      const a2 = Matmul.rowOfGroup(w + 32, x0, x1, x2, x3);
      const a3 = Matmul.rowOfGroup(w + 48, x0, x1, x2, x3);
      acc = f32x4.add(acc, Matmul.scaledSums<T>(g, a0, a1, a2, a3, inputs.scales + (at >> 3) + g * 4));
    }
    if (Traits.hasMins<T>()) acc = f32x4.sub(acc, Matmul.offsets<T>(groups, inputs, at));
    v128.store(out, acc);
  }

  @inline
  static addDot(sum: v128, w: v128, x: v128): v128 {
    return i32x4.add(sum, i32x4.dot_i16x8_s(w, x));
  }

  /** The products of 32 weights of the tile's row at `w`, in 4 lanes. */
  @inline
  static rowOfGroup(w: usize, x0: v128, x1: v128, x2: v128, x3: v128): v128 {
    const first = Matmul.addDot(i32x4.dot_i16x8_s(v128.load(w), x0), v128.load(w, 64), x1);
    return Matmul.addDot(Matmul.addDot(first, v128.load(w, 128), x2), v128.load(w, 192), x3);
  }

  /** The offsets of the tile's 4 rows times the sums of a token's inputs. */
  @inline
  static offsets<T>(groups: i32, inputs: Inputs, at: usize): v128 {
    const count = Traits.fine<T>() ? groups * 2 : groups;
    const sums = Traits.fine<T>() ? inputs.sums16 + (at >> 2) : inputs.sums32 + (at >> 3);
    let acc = f32x4.splat(0);
    for (let i = 0; i < count; i++) {
      acc = f32x4.add(acc, f32x4.mul(v128.load(OFFSETS + i * 16), v128.load32_splat(sums + i * 4)));
    }
    return acc;
  }

  /** The sums of the four rows of group `g`, times the scales of the rows and the scale of the inputs at `scale`. */
  @inline
  static scaledSums<T>(g: i32, s0: v128, s1: v128, s2: v128, s3: v128, scale: usize): v128 {
    const scales = f32x4.mul(v128.load(SCALES + g * 16), v128.load32_splat(scale));
    return f32x4.mul(Matmul.laneSums<T>(s0, s1, s2, s3), scales);
  }

  /** The sums of the lanes of four integer vectors, as four floats. */
  @inline
  static laneSums<T>(s0: v128, s1: v128, s2: v128, s3: v128): v128 {
    if (!Traits.wide<T>()) return f32x4.convert_i32x4_s(Lanes.integerSums(s0, s1, s2, s3));
    // Two lanes of Q6_K fit into 32 bits, four may not.
    const t01 = Lanes.pairSums(s0, s1);
    const t23 = Lanes.pairSums(s2, s3);
    const low = v128.shuffle<i64>(t01, t23, 0, 2);
    const high = v128.shuffle<i64>(t01, t23, 1, 3);
    return f32x4.add(f32x4.convert_i32x4_s(low), f32x4.convert_i32x4_s(high));
  }
}
