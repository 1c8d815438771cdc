/** Compares matrix kernels with float64 sums over weights that the block-wise reference dequantizes. */
import { describe, expect, it } from 'vitest';
import { dequantize } from '../../../format/quantization/dequantize.ts';
import { HALF_SCALES } from '../../../format/quantization/finite.ts';
import { ggufBytes, isPlainType, repackTensor } from '../../../format/quantization/repack.ts';
import { layoutTensor, type TensorLayout, WEIGHT_TYPES, type WeightTypeName } from '../../../format/weight-layout.ts';
import { type ExactProduct, matmul as exactMatmul, worstError } from '../../../reference/matmul.ts';
import { DOT_TOLERANCE } from '../../../reference/tolerance.ts';
import {
  allocate,
  allocateActivations,
  getTestDevice,
  makeContext,
  randomNormal,
  readActivations,
  readBack,
  run,
  seededRandom,
  upload,
  uploadActivations,
} from '../testing.ts';
import { type ExpertBank, GROUPS_HEADER_BYTES, type Matrix, type MatrixVariant, NO_SLOT } from './context.ts';
import { embed } from './embed.ts';
import { expertDown } from './expert-down.ts';
import { expertGateUp } from './expert-gate-up.ts';
import { matmul } from './matmul.ts';

const TYPES = Object.keys(WEIGHT_TYPES) as WeightTypeName[];
/**
 * Types that are tested on many shapes, one per kind of run. The other types differ in how a run is read, not in how
 * the work is divided, and on a software adapter each shape takes a second.
 */
const THOROUGH: WeightTypeName[] = ['F16', 'Q8_0', 'Q4_K', 'Q6_K', 'Q2_K'];
const VARIANTS: MatrixVariant[] = ['rows', 'workgroup'];

/** The byte offsets of the f16 scales in a block. */
const HALF_OFFSETS: Partial<Record<WeightTypeName, readonly number[]>> = HALF_SCALES;
/** Types whose weights are sums, which a compiler may contract into one rounding. */
const AFFINE: WeightTypeName[] = ['Q4_1', 'Q5_1', 'Q2_K', 'Q4_K', 'Q5_K'];

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

interface Sample {
  layout: TensorLayout;
  record: Uint8Array;
  weights: Float32Array;
}

function sample(type: WeightTypeName, rows: number, cols: number, random: () => number, offset = 0): Sample {
  const source = randomMatrix(type, rows, cols, random);
  const layout = layoutTensor('w', WEIGHT_TYPES[type], rows, cols, offset);
  const record = new Uint8Array(offset + layout.bytes);
  repackTensor(source, layout, record);
  return { layout, record, weights: dequantize(type, source) };
}

const reference = ({ weights, layout: { rows, cols } }: Sample, x: Float32Array): ExactProduct =>
  exactMatmul(weights, x, rows, cols);

const expectClose = (actual: Float32Array, expected: ExactProduct): void =>
  expect(worstError(actual, expected)).toBeLessThan(DOT_TOLERANCE);

const widths = (type: WeightTypeName): number[] =>
  isPlainType(WEIGHT_TYPES[type]) ? [36, 200] : WEIGHT_TYPES[type].blockWeights === 32 ? [32, 160] : [256, 768];

describe.each(VARIANTS)('matmul, %s', (variant) => {
  it.each(TYPES)('%s agrees with float64 on odd shapes', async (type) => {
    const gpu = await getTestDevice();
    const random = seededRandom(7);
    const shapes = THOROUGH.includes(type)
      ? [
          [1, 1],
          [3, 2],
          [257, 1],
          [65, 7],
        ]
      : [
          [3, 1],
          [19, 5],
        ];
    for (const cols of THOROUGH.includes(type) ? widths(type) : widths(type).slice(1)) {
      for (const [rows, tokens] of shapes) {
        const weights = sample(type, rows, cols, random);
        const matrix: Matrix = { layout: weights.layout, slice: upload(gpu, weights.record) };
        const x = randomNormal(random, tokens * cols);
        const output = allocateActivations(gpu, tokens, rows);
        const ctx = await makeContext(variant, { tokenCount: tokens });
        await run(gpu, () =>
          matmul(ctx, { matrix, input: uploadActivations(gpu, x, cols), output, maxTokens: tokens, label: 'test' }),
        );
        expectClose(await readActivations(gpu, output, tokens, rows), reference(weights, x));
        const all = await readBack(gpu, output.slice, Float32Array);
        expect(all.slice(rows, output.stride).every((value) => value === 0)).toBe(true);
      }
    }
  });

  it('adds to its output with accumulate, and computes only tokenCount tokens', async () => {
    const gpu = await getTestDevice();
    const random = seededRandom(8);
    const weights = sample('Q8_0', 40, 64, random);
    const matrix: Matrix = { layout: weights.layout, slice: upload(gpu, weights.record) };
    const x = randomNormal(random, 6 * 64);
    const before = randomNormal(random, 6 * 40);
    const output = uploadActivations(gpu, before, 40);
    const ctx = await makeContext(variant, { tokenCount: 5 });
    await run(gpu, () =>
      matmul(ctx, {
        matrix,
        input: uploadActivations(gpu, x, 64),
        output,
        maxTokens: 6,
        accumulate: true,
        label: 'test',
      }),
    );
    const after = await readActivations(gpu, output, 6, 40);
    const expected = reference(weights, x.slice(0, 5 * 64));
    for (let i = 0; i < expected.values.length; i++) expected.values[i] += before[i];
    expectClose(after.slice(0, 5 * 40), {
      ...expected,
      magnitudes: expected.magnitudes.map((m, i) => m + Math.abs(before[i])),
    });
    expect(after.slice(5 * 40)).toEqual(before.slice(5 * 40));
  });

  it('gives a token the same sums alone and within a batch', async () => {
    const gpu = await getTestDevice();
    const random = seededRandom(15);
    const [rows, cols, tokens] = [13, 512, 33];
    for (const type of ['Q8_0', 'Q4_K'] as const) {
      const weights = sample(type, rows, cols, random);
      const matrix: Matrix = { layout: weights.layout, slice: upload(gpu, weights.record) };
      const x = randomNormal(random, tokens * cols);
      const product = async (input: Float32Array): Promise<Float32Array> => {
        const count = input.length / cols;
        const output = allocateActivations(gpu, count, rows);
        const ctx = await makeContext(variant, { tokenCount: count });
        await run(gpu, () =>
          matmul(ctx, { matrix, input: uploadActivations(gpu, input, cols), output, maxTokens: count, label: 'test' }),
        );
        return readActivations(gpu, output, count, rows);
      };
      const together = await product(x);
      expectClose(together, reference(weights, x));
      for (const t of [0, 31, 32]) {
        const alone = await product(x.slice(t * cols, (t + 1) * cols));
        // The order of additions is the same, but a compiler may contract them differently.
        expectClose(alone, {
          ...reference(weights, x.slice(t * cols, (t + 1) * cols)),
          values: Float64Array.from(together.slice(t * rows, (t + 1) * rows)),
        });
      }
    }
  });

  it('folds workgroups that exceed the limit of a dimension', async () => {
    const gpu = await getTestDevice();
    const random = seededRandom(16);
    const [rows, cols] = [259, 64];
    const weights = sample('Q4_0', rows, cols, random);
    const matrix: Matrix = { layout: weights.layout, slice: upload(gpu, weights.record) };
    const x = randomNormal(random, cols);
    const output = allocateActivations(gpu, 1, rows);
    const ctx = await makeContext(variant);
    const args = { matrix, input: uploadActivations(gpu, x, cols), output, maxTokens: 1, label: 'test' };
    // Folds as matmul does, but with two workgroups in x.
    const folded = matmul(ctx, args).map((dispatch) => {
      expect(dispatch.workgroups.slice(1)).toEqual([1, 1]);
      return { ...dispatch, workgroups: [2, 1, Math.ceil(dispatch.workgroups[0] / 2)] as const };
    });
    await run(gpu, () => folded);
    expectClose(await readActivations(gpu, output, 1, rows), reference(weights, x));
    const huge: Matrix = { ...matrix, layout: { ...matrix.layout, rows: 5_000_000 } };
    const [groupsX, groupsY, groupsZ] = matmul(ctx, { ...args, matrix: huge })[0].workgroups;
    expect(groupsX).toBeLessThanOrEqual(65535);
    expect(groupsY).toBe(1);
    const rowsPerGroup = variant === 'rows' ? 64 : 4;
    expect(groupsX * groupsZ * rowsPerGroup).toBeGreaterThanOrEqual(5_000_000);
  });

  it('does nothing in a stalled step', async () => {
    const gpu = await getTestDevice();
    const weights = sample('F32', 5, 32, seededRandom(9));
    const matrix: Matrix = { layout: weights.layout, slice: upload(gpu, weights.record) };
    const before = Float32Array.from([1, 2, 3, 4, 5]);
    const output = uploadActivations(gpu, before, 5);
    const input = uploadActivations(gpu, new Float32Array(32).fill(1), 32);
    const ctx = await makeContext(variant, { stalled: 1 });
    await run(gpu, () => matmul(ctx, { matrix, input, output, maxTokens: 1, label: 'test' }));
    expect(await readActivations(gpu, output, 1, 5)).toEqual(before);
  });
});

describe('embed', () => {
  it.each(TYPES)('dequantizes %s rows as the reference does', async (type) => {
    const gpu = await getTestDevice();
    const cols = widths(type)[1];
    const weights = sample(type, 9, cols, seededRandom(11));
    const matrix: Matrix = { layout: weights.layout, slice: upload(gpu, weights.record) };
    const tokens = [8, 0, 3];
    const output = allocateActivations(gpu, 4, cols);
    const ctx = await makeContext('rows', { tokenCount: 3 });
    await run(gpu, () =>
      embed(ctx, { matrix: [matrix], tokens: upload(gpu, Uint32Array.from(tokens)), output, maxTokens: 4 }),
    );
    const actual = await readActivations(gpu, output, 4, cols);
    const expected = new Float32Array(4 * cols);
    for (const [t, token] of tokens.entries())
      expected.set(weights.weights.subarray(token * cols, (token + 1) * cols), t * cols);
    const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const slack = AFFINE.includes(type) ? 2 ** -23 * largest : 0;
    const off = actual.findIndex((value, k) => !(Math.abs(value - expected[k]) <= slack));
    expect(off < 0 ? 'equal' : `[${off}] is ${actual[off]}, not ${expected[off]}`).toBe('equal');
  });
});

interface Groups {
  /** Four words per group. */
  headers: number[];
  assignments: number[];
}

function expectActivations(actual: Float32Array, { gate, up }: { gate: Sample; up: Sample }, x: Float32Array): void {
  const g = reference(gate, x);
  const u = reference(up, x);
  const off = actual.findIndex((value, r) => {
    const expected = (g.values[r] / (1 + Math.exp(-g.values[r]))) * u.values[r];
    const magnitude = (1 + Math.abs(g.values[r])) * u.magnitudes[r] + g.magnitudes[r] * (1 + Math.abs(u.values[r]));
    return !(Math.abs(value - expected) <= magnitude * 1e-5);
  });
  expect(off).toBe(-1);
}

describe.each(VARIANTS)('experts, %s', (variant) => {
  const mixes = [
    ...TYPES.map((type) => [type, type, type] as const),
    ['Q4_0', 'Q8_0', 'F16'],
    ['Q4_K', 'Q6_K', 'Q4_K'],
  ] as const;

  it.each(mixes)(
    'computes gate, up and down of the experts in their slots: %s, %s, %s',
    async (gateType, upType, downType) => {
      const gpu = await getTestDevice();
      const random = seededRandom(13);
      const thorough = gateType !== downType || THOROUGH.includes(gateType);
      const [dim, ffn, expertsPerToken] = [widths(upType)[thorough ? 1 : 0], widths(downType)[0], 2];
      const experts = Array.from({ length: 3 }, () => {
        const gate = sample(gateType, ffn, dim, random);
        const up = sample(upType, ffn, dim, random, gate.layout.bytes);
        return { gate, up, down: sample(downType, dim, ffn, random) };
      });
      const [{ gate, up, down }] = experts;
      const gateUpStride = up.record.length;
      const downStride = down.record.length;
      const gateUp = new Uint8Array(3 * gateUpStride);
      const downs = new Uint8Array(3 * downStride);
      for (const [slot, expert] of experts.entries()) {
        gateUp.set(expert.up.record, slot * gateUpStride);
        gateUp.set(expert.gate.record, slot * gateUpStride);
        downs.set(expert.down.record, slot * downStride);
      }
      // The bank holds slots 4 .. 6 of its layer.
      const bank: ExpertBank = {
        firstSlot: 4,
        slots: 3,
        gateUp: upload(gpu, gateUp),
        gateUpStride,
        down: upload(gpu, downs),
        downStride,
        gate: gate.layout,
        up: up.layout,
        downLayout: down.layout,
      };
      const check = async (
        tokens: number,
        groups: Groups,
        maxAssignments: number,
        done: Map<number, number>,
        stalled = 0,
      ) => {
        const x = randomNormal(random, tokens * dim, 0.05);
        const assignmentCount = tokens * expertsPerToken;
        const activations = allocateActivations(gpu, assignmentCount, ffn);
        const output = allocateActivations(gpu, assignmentCount, dim);
        const ctx = await makeContext(variant, { tokenCount: tokens, stalled });
        const words = new Uint32Array(GROUPS_HEADER_BYTES / 4 + groups.assignments.length);
        words.set(groups.headers);
        words.set(groups.assignments, GROUPS_HEADER_BYTES / 4);
        const groupCount = groups.headers.length / 4;
        const shared = { bank, groups: upload(gpu, words), groupCount, maxAssignments, activations, label: 'test' };
        // Assignment 1 is skipped, so its weight is 0. The content of its row must not matter.
        const weights = Float32Array.from({ length: assignmentCount }, (_, p) => (p === 1 ? 0 : 0.1 + random()));
        await run(gpu, () => expertGateUp(ctx, { ...shared, expertsPerToken, input: uploadActivations(gpu, x, dim) }));
        const hidden = await readActivations(gpu, activations, assignmentCount, ffn);
        const { buffer } = activations.slice;
        gpu.queue.writeBuffer(buffer, activations.stride * 4, new Float32Array(ffn).fill(Number.NaN));
        if (done.has(1)) gpu.queue.writeBuffer(output.slice.buffer, output.stride * 4, new Float32Array(dim).fill(7));
        await run(gpu, () => expertDown(ctx, { ...shared, routingWeights: upload(gpu, weights), output }));
        const out = await readActivations(gpu, output, assignmentCount, dim);
        for (let p = 0; p < assignmentCount; p++) {
          const slot = done.get(p);
          const actual = hidden.slice(p * ffn, (p + 1) * ffn);
          const result = out.slice(p * dim, (p + 1) * dim);
          if (slot === undefined) {
            expect(actual.every((v) => v === 0) && result.every((v) => v === 0)).toBe(true);
            continue;
          }
          const token = Math.floor(p / expertsPerToken);
          expectActivations(actual, experts[slot], x.slice(token * dim, (token + 1) * dim));
          if (weights[p] === 0) {
            expect(result.every((v) => v === 0)).toBe(true);
            continue;
          }
          // The input of the reference for down is the activations of the GPU, so that only the error of down counts.
          const { values, magnitudes } = reference(experts[slot].down, actual);
          expectClose(result, {
            values: values.map((v) => v * weights[p]),
            magnitudes: magnitudes.map((m) => m * weights[p]),
          });
        }
      };
      // Prefill: slot 6 has one assignment, slot 2 is in another bank, slot 4 has six, and one expert is missing.
      const prefill = {
        headers: [6, 0, 1, 0, 2, 1, 1, 0, 4, 2, 6, 0, NO_SLOT, 8, 2, 0],
        assignments: [9, 0, 1, 2, 3, 4, 5, 8, 6, 7],
      };
      const done = new Map([[9, 2], ...[1, 2, 3, 4, 5, 8].map((p) => [p, 0] as const)]);
      if (thorough || variant === 'rows') await check(5, prefill, 6, done);
      if (thorough) await check(5, prefill, 6, new Map(), 3); // stalled
      // Decode: one token, one assignment per expert. In the second call one expert is in another bank.
      await check(
        1,
        { headers: [5, 0, 1, 0, 4, 1, 1, 0], assignments: [0, 1] },
        1,
        new Map([
          [0, 1],
          [1, 0],
        ]),
      );
      if (!thorough) return;
      await check(1, { headers: [5, 0, 1, 0, 9, 1, 1, 0], assignments: [0, 1] }, 1, new Map([[0, 1]]));
    },
  );
});

describe('allocate', () => {
  it('returns zeroed memory, which the tests above rely on', async () => {
    const gpu = await getTestDevice();
    expect((await readBack(gpu, allocate(gpu, 64), Float32Array)).every((v) => v === 0)).toBe(true);
  });
});
