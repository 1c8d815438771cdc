/** Matrices of F32, F16 or BF16 times f32 inputs. */
import { Half } from './half';
import { Lanes } from './lanes';

export class F32 {
  @inline
  shift(): usize {
    return 2;
  }

  @inline
  load4(at: usize): v128 {
    return v128.load(at);
  }
}

export class F16 {
  @inline
  shift(): usize {
    return 1;
  }

  @inline
  load4(at: usize): v128 {
    return Half.load4(at);
  }
}

export class BF16 {
  @inline
  shift(): usize {
    return 1;
  }

  @inline
  load4(at: usize): v128 {
    return i32x4.shl(v128.load_ext<u16>(at), 16);
  }
}

export class Plain {
  /**
   * out[t, r] = sum over row r of weight times input of token t.
   * @param weights [rows, columns], rows padded to a multiple of 32
   * @param columns a multiple of 4
   * @param x f32[tokens, columns]
   * @param out f32, the outputs of neighbouring tokens `stride` floats apart
   */
  @inline
  static matmul<T>(weights: usize, rows: i32, columns: i32, tokens: i32, x: usize, out: usize, stride: i32): void {
    const t = changetype<T>(0);
    const rowBytes = (<usize>((columns + 31) & ~31)) << t.shift();
    for (let token = 0; token < tokens; token += 2) {
      const next = token + 1 < tokens ? token + 1 : token;
      const x0 = x + ((token * columns) << 2);
      const x1 = x + ((next * columns) << 2);
      let row = weights;
      for (let r = 0; r < rows; r++, row += rowBytes) {
        let acc0 = f32x4.splat(0);
        let acc1 = f32x4.splat(0);
        if (token == next) {
          for (let i: usize = 0; i < <usize>columns; i += 4) {
            acc0 = f32x4.add(acc0, f32x4.mul(t.load4(row + (i << t.shift())), v128.load(x0 + (i << 2))));
          }
        } else {
          for (let i: usize = 0; i < <usize>columns; i += 4) {
            const w = t.load4(row + (i << t.shift()));
            acc0 = f32x4.add(acc0, f32x4.mul(w, v128.load(x0 + (i << 2))));
            acc1 = f32x4.add(acc1, f32x4.mul(w, v128.load(x1 + (i << 2))));
          }
          store<f32>(out + ((next * stride + r) << 2), Lanes.sum(acc1));
        }
        store<f32>(out + ((token * stride + r) << 2), Lanes.sum(acc0));
      }
    }
  }
}
