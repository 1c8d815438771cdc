/** CPU kernels against float64. */
import { beforeEach, describe, expect, it } from 'vitest';
import { dequantize } from '../../format/quantization/dequantize.ts';
import { isPlainType, repackTensor } from '../../format/quantization/repack.ts';
import { layoutTensor, WEIGHT_TYPES, type WeightTypeName } from '../../format/weight-layout.ts';
import { attention } from '../../reference/attention.ts';
import { halfToNumber, roundToHalf } from '../../reference/half.ts';
import { matmul } from '../../reference/matmul.ts';
import { rmsNorm } from '../../reference/norm.ts';
import { rope } from '../../reference/rope.ts';
import { compare, DOT_TOLERANCE, TOLERANCE } from '../../reference/tolerance.ts';
import { hashName, writeBlock } from '../../synth/random-blocks.ts';
import { ropeTable } from '../rope-table.ts';
import { KernelModule } from './kernels-module.ts';
import { compiledKernels } from './testing.ts';

const compiled = compiledKernels();
const TYPES = Object.keys(WEIGHT_TYPES) as WeightTypeName[];
let module: KernelModule;
let random: () => number;

beforeEach(() => {
  module = KernelModule.instantiate(compiled);
  beginRandom();
});

/** Starts the sequence of `random` from its beginning. */
function beginRandom(): void {
  let state = 12345;
  random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

const vector = (length: number): Float32Array => Float32Array.from({ length }, random);

/** Random blocks of a matrix as in a GGUF, row after row. */
function randomBlocks(type: WeightTypeName, rows: number, columns: number): Uint8Array {
  const { blockWeights, blockBytes } = WEIGHT_TYPES[type];
  const blocks = rows * Math.ceil(columns / blockWeights);
  const gguf = new Uint8Array(blocks * blockBytes);
  const recipe = { type, seed: hashName('test', 1), deviation: 0.02 };
  for (let n = 0; n < blocks; n++) writeBlock(recipe, n, gguf, n * blockBytes);
  return gguf;
}

/** Blocks of a GGUF in the record layout. */
function packMatrix(type: WeightTypeName, gguf: Uint8Array, rows: number, columns: number) {
  const weightType = WEIGHT_TYPES[type];
  const layout = layoutTensor('test', weightType, rows, columns, 0);
  const packed = new Uint8Array(layout.bytes);
  // Plain types with whole rows of blocks are stored as they are.
  if (isPlainType(weightType)) packed.set(gguf);
  else repackTensor(gguf, layout, packed);
  return { layout, packed };
}

/** A random matrix in the record layout, and its weights row by row. */
function randomMatrix(type: WeightTypeName, rows: number, columns: number) {
  const weightType = WEIGHT_TYPES[type];
  const blocksPerRow = Math.ceil(columns / weightType.blockWeights);
  const gguf = randomBlocks(type, rows, columns);
  const { layout, packed } = packMatrix(type, gguf, rows, columns);
  const padded = dequantize(type, gguf);
  const width = blocksPerRow * weightType.blockWeights;
  const weights = Float32Array.from({ length: rows * columns }, (_, i) => {
    return padded[Math.floor(i / columns) * width + (i % columns)];
  });
  return { layout, packed, weights };
}

/**
 * How far each product [tokens, rows] may be off because inputs are rounded to 16 bits: an input by half of 1 / 32767
 * of the largest of its 32, and all of them in the same direction.
 */
function roundingBounds(weights: Float32Array, x: Float32Array, rows: number, columns: number): Float64Array {
  const largest = new Float32Array(x.length);
  for (let i = 0; i < x.length; i += 32) largest.fill(Math.max(...x.subarray(i, i + 32).map(Math.abs)), i, i + 32);
  const { magnitudes } = matmul(weights, largest, rows, columns);
  return magnitudes.map((sum) => sum / 65534);
}

describe.each(TYPES)('matmul with %s', (type) => {
  const { blockWeights } = WEIGHT_TYPES[type];
  const widths = blockWeights === 256 ? [256, 768] : [32, 96, 288, 512];
  const shapes = widths.flatMap((columns) => [1, 2, 3, 17].map((tokens) => ({ rows: 13, columns, tokens })));

  it.each(shapes)('$rows x $columns, $tokens tokens', ({ rows, columns, tokens }) => {
    const { layout, packed, weights } = randomMatrix(type, rows, columns);
    const x = vector(tokens * columns);
    const vectors = module.vectors(tokens, columns);
    const matrix = module.matrix(layout, module.copy(packed));
    const out = module.allocate(tokens * rows * 4);
    module.floats(vectors.values, x.length).set(x);
    module.quantize(vectors, tokens);
    module.matmul(matrix, vectors, tokens, out);
    const actual = module.floats(out, tokens * rows);
    const { values, magnitudes } = matmul(weights, x, rows, columns);
    const rounding = matrix.isPlain ? magnitudes.map(() => 0) : roundingBounds(weights, x, rows, columns);
    const excess = actual.map((value, i) => Math.abs(value - values[i]) - rounding[i] - DOT_TOLERANCE * magnitudes[i]);
    expect(Math.max(...excess)).toBeLessThanOrEqual(0);
  });
});

describe.each(TYPES)('products with %s are the same to the bit', (type) => {
  const [rows, columns, tokens] = [23, WEIGHT_TYPES[type].blockWeights === 256 ? 512 : 352, 5];
  // How many rows each part has; the last part of each cut has any number of rows.
  const cuts = [[23], [4, 19], [8, 12, 3], [20, 2, 1], [16, 5, 2], [6, 17]];

  /** f32[tokens, rows], computed in parts of `cut` rows and groups of `group` tokens. */
  function product(cut: number[], group: number, tiled: boolean): number[] {
    const gguf = randomBlocks(type, rows, columns);
    const rowBytes = gguf.length / rows;
    const x = vector(tokens * columns);
    const out = module.allocate(tokens * rows * 4);
    let first = 0;
    for (const count of cut) {
      const bytes = gguf.subarray(first * rowBytes, (first + count) * rowBytes);
      const { layout, packed } = packMatrix(type, bytes, count, columns);
      const matrix = module.matrix(layout, module.copy(packed));
      for (let t = 0; t < tokens; t += group) {
        const size = Math.min(group, tokens - t);
        const vectors = module.vectors(size, columns);
        module.floats(vectors.values, size * columns).set(x.subarray(t * columns, (t + size) * columns));
        module.quantize(vectors, size);
        module.matmul(matrix, vectors, size, out + (t * rows + first) * 4, rows, tiled);
      }
      first += count;
    }
    return [...module.floats(out, tokens * rows)];
  }

  it.each([true, false])('for any cut into rows and groups of tokens, tiled: %s', (tiled) => {
    const whole = product([rows], tokens, tiled);
    expect(whole.some((value) => value !== 0)).toBe(true);
    for (const cut of cuts) {
      for (const group of [1, 2, 3, 4, 5]) {
        beginRandom();
        expect(product(cut, group, tiled)).toEqual(whole);
      }
    }
  });
});

it('several products write side by side with a stride', () => {
  const { layout, packed, weights } = randomMatrix('Q8_0', 4, 32);
  const x = vector(3 * 32);
  const vectors = module.vectors(3, 32);
  const out = module.allocate(3 * 8 * 4);
  module.floats(vectors.values, x.length).set(x);
  module.quantize(vectors, 3);
  const matrix = module.matrix(layout, module.copy(packed));
  module.floats(out, 24).fill(7);
  module.matmul(matrix, vectors, 3, out + 16, 8);
  const { values } = matmul(weights, x, 4, 32);
  const expected = Array.from({ length: 24 }, (_, i) => (i % 8 < 4 ? 7 : values[Math.floor(i / 8) * 4 + (i % 8) - 4]));
  expect(compare(module.floats(out, 24), expected, TOLERANCE.reduction)).toBeNull();
});

it('zeros stay zeros when they are rounded', () => {
  const vectors = module.vectors(1, 64);
  module.floats(vectors.values, 64).fill(0);
  module.quantize(vectors, 1);
  const [values, scales] = new Uint32Array(module.bytes(vectors.inputs, 16).slice().buffer);
  expect([...module.bytes(values, 128), ...module.floats(scales, 2)].every((value) => value === 0)).toBe(true);
});

it.each([4, 256, 4096])('rmsNorm of width %i', (width) => {
  const [x, weight] = [vector(3 * width), vector(width)];
  const [at, weightAt, out] = [module.copy(x), module.copy(weight), module.allocate(3 * width * 4)];
  module.kernels.rmsNorm(at, weightAt, width, 3, 1e-5, out);
  expect(compare(module.floats(out, 3 * width), rmsNorm(x, weight, width, 1e-5), TOLERANCE.elementwise)).toBeNull();
});

it.each([
  { headDim: 32, ropeDimensionCount: 32, position: 0 },
  { headDim: 128, ropeDimensionCount: 128, position: 4095 },
  { headDim: 64, ropeDimensionCount: 32, position: 77 },
])('rope at position $position, $ropeDimensionCount of $headDim', ({ headDim, ropeDimensionCount, position }) => {
  const x = vector(3 * headDim);
  const shape = { headDim, ropeDimensionCount, ropeFreqBase: 1e6 };
  const table = module.copy(ropeTable(shape, position + 1).subarray(position * ropeDimensionCount));
  const at = module.copy(x);
  module.kernels.rope(at, 3, headDim, ropeDimensionCount, table);
  expect(compare(module.floats(at, x.length), rope(x, position, shape), TOLERANCE.elementwise)).toBeNull();
});

describe('toHalves', () => {
  const halvesOf = (values: number[]): number[] => {
    const out = module.allocate(values.length * 2);
    module.kernels.toHalves(module.copy(Float32Array.from(values)), values.length, out);
    return [...new Uint16Array(module.bytes(out, values.length * 2).slice().buffer)];
  };

  it('gives every finite half back', () => {
    const bits = Array.from({ length: 65536 }, (_, n) => n).filter((n) => (n & 0x7c00) !== 0x7c00);
    expect(halvesOf(bits.map(halfToNumber))).toEqual(bits);
  });

  it('rounds to nearest, ties to even', () => {
    const tie = 1 + 2 ** -11;
    expect(halvesOf([tie, tie + 2 ** -20, 1 + 3 * 2 ** -11])).toEqual([0x3c00, 0x3c01, 0x3c02]);
  });

  it('clamps to the largest finite half, as the GPU and the judge do', () => {
    const values = [65504, 65519, 65520, 1e9, Number.POSITIVE_INFINITY, -65520, -1e9, Number.NEGATIVE_INFINITY];
    expect(halvesOf(values).map(halfToNumber)).toEqual(values.map(roundToHalf));
    expect(halvesOf([1e9, -1e9])).toEqual([0x7bff, 0xfbff]);
  });

  it('rounds subnormals, too', () => {
    expect(halvesOf([2 ** -24, 1.5 * 2 ** -24, 2 ** -25, 2 ** -25 * 1.01, 0])).toEqual([1, 2, 0, 1, 0]);
  });
});

it('swiglu, also where the exponential is out of range', () => {
  const gate = Float32Array.from([...vector(56).map((x) => x * 20), -200, -90, 0, 90, 200, 1, -1, 5]);
  const up = vector(gate.length);
  const at = module.copy(gate);
  module.kernels.swiglu(at, module.copy(up), gate.length);
  const expected = Array.from(gate, (g, i) => (g / (1 + Math.exp(-g))) * up[i]);
  expect(compare(module.floats(at, gate.length), expected, TOLERANCE.elementwise)).toBeNull();
});

it('addScaled', () => {
  const [sum, x] = [vector(64), vector(64)];
  const at = module.copy(sum);
  module.kernels.addScaled(at, module.copy(x), 0.3, 64);
  const expected = Array.from(sum, (value, i) => value + Math.fround(0.3) * x[i]);
  expect(compare(module.floats(at, 64), expected, TOLERANCE.elementwise)).toBeNull();
});

it.each([
  { positions: 1, group: 1, headDim: 32, kvHeads: 1 },
  { positions: 7, group: 4, headDim: 128, kvHeads: 2 },
  { positions: 50, group: 6, headDim: 128, kvHeads: 1 },
  { positions: 9, group: 3, headDim: 20, kvHeads: 2 },
  { positions: 4096, group: 4, headDim: 64, kvHeads: 1 },
  { positions: 333, group: 2, headDim: 64, kvHeads: 3 },
])('attention over $positions positions, $group x $kvHeads heads of $headDim', (shape) => {
  const { positions, group, headDim, kvHeads } = shape;
  const q = vector(group * kvHeads * headDim).map((x) => x * 4);
  const cache = (): { at: number; values: Float64Array } => {
    const x = vector(positions * kvHeads * headDim);
    const at = module.allocate(x.length * 2);
    module.kernels.toHalves(module.copy(x), x.length, at);
    return {
      at,
      values: Float64Array.from(new Uint16Array(module.bytes(at, x.length * 2).slice().buffer), halfToNumber),
    };
  };
  const [keys, values] = [cache(), cache()];
  const [at, scores, out] = [module.copy(q), module.allocate(positions * 16), module.allocate(q.byteLength)];
  for (let head = 0; head < kvHeads; head++) {
    const offset = head * group * headDim * 4;
    const shift = head * headDim * 2;
    const stride = kvHeads * headDim * 2;
    module.kernels.attention(
      at + offset,
      keys.at + shift,
      values.at + shift,
      positions,
      stride,
      group,
      headDim,
      scores,
      out + offset,
    );
  }
  const heads = { headCount: group * kvHeads, kvHeadCount: kvHeads, headDim };
  const expected = attention(q, keys.values, values.values, positions - 1, heads);
  expect(compare(module.floats(out, q.length), expected, TOLERANCE.softmax)).toBeNull();
});

it('a memory that cannot grow is an error', () => {
  expect(() => module.allocate(2 ** 33)).toThrow(RangeError);
});
