/** Operations on vectors of f32, whose lengths are multiples of 4. */
import { Half } from './half';
import { Lanes } from './lanes';
import { Inputs } from './structs';

export class Vector {
  /**
   * out = x / sqrt(mean(x^2) + epsilon) * weight, for each token.
   * @param x f32[tokens, length]
   */
  static rmsNorm(x: usize, weight: usize, length: i32, tokens: i32, epsilon: f32, out: usize): void {
    for (let t = 0; t < tokens; t++) {
      let sum = f64x2.splat(0);
      for (let i = 0; i < length; i += 4) {
        const v = v128.load(x + (i << 2));
        const low = f64x2.promote_low_f32x4(v);
        const high = f64x2.promote_low_f32x4(v128.shuffle<i32>(v, v, 2, 3, 2, 3));
        sum = f64x2.add(sum, f64x2.add(f64x2.mul(low, low), f64x2.mul(high, high)));
      }
      const mean = (f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1)) / <f64>length;
      const factor = f32x4.splat(<f32>(1 / Math.sqrt(mean + <f64>epsilon)));
      for (let i = 0; i < length; i += 4) {
        const normed = f32x4.mul(v128.load(x + (i << 2)), factor);
        v128.store(out + (i << 2), f32x4.mul(normed, v128.load(weight + (i << 2))));
      }
      x += length << 2;
      out += length << 2;
    }
  }

  /**
   * Rounds each 32 inputs to 16-bit integers with one scale, so that an input is off by at most 1/65534 of the largest
   * of its 32. The values of each 16 are written in the order of `Unpack`: even ones, then odd ones.
   * @param x f32[length], `length` a multiple of 32; several tokens follow each other
   */
  static quantize(x: usize, length: i32, inputs: Inputs): void {
    let values = inputs.values;
    for (let g = 0; g < length >> 5; g++, x += 128, values += 64) {
      let largest = f32x4.splat(0);
      for (let i = 0; i < 32; i += 4) largest = f32x4.max(largest, f32x4.abs(v128.load(x + (i << 2))));
      const scale = Lanes.max(largest) * <f32>(1.0 / 32767.0);
      const inverse = f32x4.splat(scale > 0 ? 1 / scale : 0);
      const first = Vector.quantize16(x, inverse, values);
      const second = Vector.quantize16(x + 64, inverse, values + 32);
      store<f32>(inputs.scales + (g << 2), scale);
      store<f32>(inputs.sums16 + (g << 3), <f32>first * scale);
      store<f32>(inputs.sums16 + (g << 3), <f32>second * scale, 4);
      store<f32>(inputs.sums32 + (g << 2), <f32>(first + second) * scale);
    }
  }

  /** Rounds 16 inputs and returns their sum. */
  @inline
  static quantize16(x: usize, inverse: v128, out: usize): i32 {
    const v0 = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(x), inverse)));
    const v1 = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(x, 16), inverse)));
    const v2 = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(x, 32), inverse)));
    const v3 = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(x, 48), inverse)));
    const low = i16x8.narrow_i32x4_s(v0, v1);
    const high = i16x8.narrow_i32x4_s(v2, v3);
    v128.store(out, v128.shuffle<i16>(low, high, 0, 2, 4, 6, 8, 10, 12, 14));
    v128.store(out, v128.shuffle<i16>(low, high, 1, 3, 5, 7, 9, 11, 13, 15), 16);
    const sum = i32x4.add(i32x4.add(v0, v1), i32x4.add(v2, v3));
    const pairs = i32x4.add(sum, v128.shuffle<i32>(sum, sum, 2, 3, 0, 1));
    return i32x4.extract_lane(pairs, 0) + i32x4.extract_lane(pairs, 1);
  }

  /**
   * x = x - what `quantize` rounded it to. The products of both parts add up to those of nearly exact inputs.
   * @param inputs as `quantize` wrote them for the same `x` and `length`
   */
  static remainder(x: usize, length: i32, inputs: Inputs): void {
    let values = inputs.values;
    for (let g = 0; g < length >> 5; g++, x += 128, values += 64) {
      const scale = v128.load32_splat(inputs.scales + (g << 2));
      Vector.remainder16(x, scale, values);
      Vector.remainder16(x + 64, scale, values + 32);
    }
  }

  /** Subtracts 16 rounded inputs, which are in the order of `Unpack`. */
  @inline
  static remainder16(x: usize, scale: v128, values: usize): void {
    const even = v128.load(values);
    const odd = v128.load(values, 16);
    const low = v128.shuffle<i16>(even, odd, 0, 8, 1, 9, 2, 10, 3, 11);
    const high = v128.shuffle<i16>(even, odd, 4, 12, 5, 13, 6, 14, 7, 15);
    Vector.subtract(x, i32x4.extend_low_i16x8_s(low), scale);
    Vector.subtract(x + 16, i32x4.extend_high_i16x8_s(low), scale);
    Vector.subtract(x + 32, i32x4.extend_low_i16x8_s(high), scale);
    Vector.subtract(x + 48, i32x4.extend_high_i16x8_s(high), scale);
  }

  /** Subtracts four integers times their scale. */
  @inline
  static subtract(x: usize, integers: v128, scale: v128): void {
    v128.store(x, f32x4.sub(v128.load(x), f32x4.mul(f32x4.convert_i32x4_s(integers), scale)));
  }

  /**
   * Rotates the pairs (2j, 2j + 1) of each head, in place.
   * @param x f32[heads, headDim]
   * @param table f32[ropeDim / 2, 2]: cosine and sine of each pair at the token's position
   */
  static rope(x: usize, heads: i32, headDim: i32, ropeDim: i32, table: usize): void {
    const minusPlus = f32x4(-1, 1, -1, 1);
    for (let h = 0; h < heads; h++, x += headDim << 2) {
      for (let i = 0; i < ropeDim; i += 4) {
        const v = v128.load(x + (i << 2));
        const turn = v128.load(table + (i << 2));
        const cosine = v128.shuffle<f32>(turn, turn, 0, 0, 2, 2);
        const sine = f32x4.mul(v128.shuffle<f32>(turn, turn, 1, 1, 3, 3), minusPlus);
        const swapped = v128.shuffle<f32>(v, v, 1, 0, 3, 2);
        v128.store(x + (i << 2), f32x4.add(f32x4.mul(v, cosine), f32x4.mul(swapped, sine)));
      }
    }
  }

  /**
   * Writes f32[length] as f16, rounded to nearest, ties to even. Magnitudes beyond the range become the largest finite
   * f16, as on the GPU (shaders/rope_store.wgsl): an infinite key would make every later token NaN.
   */
  static toHalves(x: usize, length: i32, out: usize): void {
    for (let i = 0; i < length; i++) {
      const value = min<f32>(max<f32>(load<f32>(x + (i << 2)), -Half.MAX), Half.MAX);
      store<u16>(out + (i << 1), <u16>Half.fromFloat(value));
    }
  }

  /** gate = silu(gate) * up, where silu(x) = x / (1 + e^-x). */
  static swiglu(gate: usize, up: usize, length: i32): void {
    const one = f32x4.splat(1);
    for (let i = 0; i < length; i += 4) {
      const g = v128.load(gate + (i << 2));
      const silu = f32x4.div(g, f32x4.add(one, Lanes.exp(f32x4.neg(g))));
      v128.store(gate + (i << 2), f32x4.mul(silu, v128.load(up + (i << 2))));
    }
  }

  /** sum = sum + x * factor. */
  static addScaled(sum: usize, x: usize, factor: f32, length: i32): void {
    const f = f32x4.splat(factor);
    for (let i = 0; i < length; i += 4) {
      v128.store(sum + (i << 2), f32x4.add(v128.load(sum + (i << 2)), f32x4.mul(v128.load(x + (i << 2)), f)));
    }
  }
}
