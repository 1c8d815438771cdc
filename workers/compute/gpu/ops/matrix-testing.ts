/** Random matrices of every weight type, and exact products, for tests of matrix kernels. */
import { expect } from 'vitest';
import { dequantize } from '../../../format/quantization/dequantize.ts';
import { HALF_SCALES } from '../../../format/quantization/finite.ts';
import { ggufBytes, isPlainType, repackTensor } from '../../../format/quantization/repack.ts';
import { layoutTensor, type TensorLayout, WEIGHT_TYPES, type WeightTypeName } from '../../../format/weight-layout.ts';
import { type ExactProduct, matmul as exactMatmul, worstError } from '../../../reference/matmul.ts';
import { DOT_TOLERANCE } from '../../../reference/tolerance.ts';
import { randomNormal } from '../testing.ts';

/** The byte offsets of the f16 scales in a block. */
const HALF_OFFSETS: Partial<Record<WeightTypeName, readonly number[]>> = HALF_SCALES;
/** The random bytes of a GGUF matrix. Its scales are finite numbers, some of them negative or subnormal. */
function randomMatrix(type: WeightTypeName, rows: number, cols: number, random: () => number): Uint8Array {
  const { blockBytes } = WEIGHT_TYPES[type];
  const bytes = new Uint8Array(ggufBytes(WEIGHT_TYPES[type], rows, cols));
  for (let i = 0; i < bytes.length; i++) bytes[i] = random() * 256;
  const view = new DataView(bytes.buffer);
  const half = () =>
    (random() < 0.1 ? 1 + random() * 1000 : 0x2000 + random() * 0x1000) | (random() < 0.3 ? 0x8000 : 0);
  if (type === 'F32') randomNormal(random, rows * cols).forEach((value, i) => void view.setFloat32(i * 4, value, true));
  if (type === 'F16') for (let i = 0; i < rows * cols; i++) view.setUint16(i * 2, half(), true);
  if (type === 'BF16') {
    const values = new Uint32Array(randomNormal(random, rows * cols).buffer);
    for (let i = 0; i < rows * cols; i++) view.setUint16(i * 2, values[i] >>> 16, true);
  }
  for (let at = 0; at + blockBytes <= bytes.length; at += blockBytes) {
    for (const offset of HALF_OFFSETS[type] ?? []) view.setUint16(at + offset, half(), true);
    if (type === 'MXFP4') bytes[at] = 110 + random() * 20;
    if (type === 'IQ1_M') {
      const bits = half();
      for (let n = 0; n < 4; n++)
        bytes[at + 49 + n * 2] = (bytes[at + 49 + n * 2] & 15) | (((bits >> (n * 4)) & 15) << 4);
    }
  }
  return bytes;
}

/** A random matrix: its bytes as in a record, and its values. */
export interface Sample {
  layout: TensorLayout;
  record: Uint8Array;
  weights: Float32Array;
}

/** A random matrix that starts at `offset` of its record. */
export function sample(type: WeightTypeName, rows: number, cols: number, random: () => number, offset = 0): Sample {
  const source = randomMatrix(type, rows, cols, random);
  const layout = layoutTensor('w', WEIGHT_TYPES[type], rows, cols, offset);
  const record = new Uint8Array(offset + layout.bytes);
  repackTensor(source, layout, record);
  return { layout, record, weights: dequantize(type, source) };
}

export const reference = ({ weights, layout: { rows, cols } }: Sample, x: Float32Array): ExactProduct =>
  exactMatmul(weights, x, rows, cols);

export const expectClose = (actual: Float32Array, expected: ExactProduct): void =>
  expect(worstError(actual, expected)).toBeLessThan(DOT_TOLERANCE);

/** Odd numbers of columns that a type allows. */
export const widths = (type: WeightTypeName): number[] =>
  isPlainType(WEIGHT_TYPES[type]) ? [36, 200] : WEIGHT_TYPES[type].blockWeights === 32 ? [32, 160] : [256, 768];

/** Compares `silu(gate x) * (up x)` with float64. */
export function expectActivations(
  actual: Float32Array,
  { gate, up }: { gate: Sample; up: Sample },
  x: Float32Array,
): void {
  const g = reference(gate, x);
  const u = reference(up, x);
  const off = actual.findIndex((value, r) => {
    const expected = (g.values[r] / (1 + Math.exp(-g.values[r]))) * u.values[r];
    const magnitude = (1 + Math.abs(g.values[r])) * u.magnitudes[r] + g.magnitudes[r] * (1 + Math.abs(u.values[r]));
    return !(Math.abs(value - expected) <= magnitude * 1e-5);
  });
  expect(off).toBe(-1);
}
