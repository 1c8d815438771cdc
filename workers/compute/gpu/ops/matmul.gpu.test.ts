/** Compares matrix kernels with float64 sums over weights that the block-wise reference dequantizes. */
import { describe, expect, it } from 'vitest';
import { WEIGHT_TYPES, type WeightTypeName } from '../../../format/weight-layout.ts';
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
import type { Matrix, MatrixVariant } from './context.ts';
import { embed } from './embed.ts';
import { createExperts, ONE_TOKEN, ONE_TOKEN_OF_TWO_BANKS, PROMPT } from './expert-testing.ts';
import { matmul } from './matmul.ts';
import { expectClose, reference, sample, widths } from './matrix-testing.ts';

const TYPES = Object.keys(WEIGHT_TYPES) as WeightTypeName[];
/**
 * Types that are tested on many shapes, one per kind of run. The other types differ in how a run is read, not in how
 * the work is divided, and on a software adapter each shape takes a second.
 */
const THOROUGH: WeightTypeName[] = ['F16', 'Q8_0', 'Q4_K', 'Q6_K', 'Q2_K'];
const VARIANTS: MatrixVariant[] = ['rows', 'workgroup'];

/** The size of a product. */
type Shape = readonly [rows: number, tokens: number];
const THOROUGH_SHAPES: readonly Shape[] = [
  [1, 1],
  [3, 2],
  [257, 1],
  [65, 7],
];
const SHAPES: readonly Shape[] = [
  [3, 1],
  [19, 5],
];

/**
 * The odd shapes of a type, each of which needs a pipeline of its own. Of the thorough ones, every pair of type and
 * shape, of type and width, and of width and shape occurs. `VITE_ALL_VARIANTS=1` runs all triples.
 */
function oddShapes(type: WeightTypeName): { cols: number; rows: number; tokens: number }[] {
  const all = widths(type);
  const nth = THOROUGH.indexOf(type);
  if (nth < 0) return SHAPES.map(([rows, tokens]) => ({ cols: all[1], rows, tokens }));
  return THOROUGH_SHAPES.flatMap(([rows, tokens], i) => {
    const some = import.meta.env.VITE_ALL_VARIANTS ? all : [all[(nth + i) % all.length]];
    return some.map((cols) => ({ cols, rows, tokens }));
  });
}

/** Types whose weights are sums, which a compiler may contract into one rounding. */
const AFFINE: WeightTypeName[] = ['Q4_1', 'Q5_1', 'Q2_K', 'Q4_K', 'Q5_K'];

describe.each(VARIANTS)('matmul, %s', (variant) => {
  it.each(TYPES)('%s agrees with float64 on odd shapes', async (type) => {
    const gpu = await getTestDevice();
    const random = seededRandom(7);
    for (const { cols, rows, tokens } of oddShapes(type)) {
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
  });

  it('agrees with float64 for numbers of tokens that fill no tile', async () => {
    const gpu = await getTestDevice();
    const random = seededRandom(8);
    const weights = sample('Q4_K', 19, 256, random);
    const matrix: Matrix = { layout: weights.layout, slice: upload(gpu, weights.record) };
    for (const tokens of [3, 63, 64, 65, 129]) {
      const x = randomNormal(random, tokens * 256);
      const output = allocateActivations(gpu, tokens + 1, 19);
      const ctx = await makeContext(variant, { tokenCount: tokens });
      await run(gpu, () =>
        matmul(ctx, { matrix, input: uploadActivations(gpu, x, 256), output, maxTokens: tokens, label: 'test' }),
      );
      expectClose(await readActivations(gpu, output, tokens, 19), reference(weights, x));
      const all = await readBack(gpu, output.slice, Float32Array);
      expect(all.slice(tokens * output.stride).every((value) => value === 0)).toBe(true);
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
    const [only] = matmul(ctx, args);
    const rowGroups = Math.max(...only.workgroups);
    expect(only.workgroups.reduce((product, n) => product * n)).toBe(rowGroups);
    const half = Math.ceil(rowGroups / 2);
    const folded = [{ ...only, workgroups: variant === 'rows' ? ([2, 1, half] as const) : ([1, 2, half] as const) }];
    await run(gpu, () => folded);
    expectClose(await readActivations(gpu, output, 1, rows), reference(weights, x));
    const huge: Matrix = { ...matrix, layout: { ...matrix.layout, rows: 5_000_000 } };
    const workgroups = matmul(ctx, { ...args, matrix: huge })[0].workgroups;
    expect(Math.max(...workgroups)).toBeLessThanOrEqual(65535);
    expect(Math.min(...workgroups)).toBe(1);
    const rowsPerGroup = variant === 'rows' ? 64 : 4;
    expect(workgroups.reduce((product, n) => product * n) * rowsPerGroup).toBeGreaterThanOrEqual(5_000_000);
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

describe.each(VARIANTS)('experts, %s', (variant) => {
  const mixes = [
    ...TYPES.map((type) => [type, type, type] as const),
    ['Q4_0', 'Q8_0', 'F16'],
    ['Q4_K', 'Q6_K', 'Q4_K'],
  ] as const;

  it.each(mixes)(
    'computes gate, up and down of the experts in their slots: %s, %s, %s',
    async (gateType, upType, downType) => {
      const thorough = gateType !== downType || THOROUGH.includes(gateType);
      const [dim, ffn] = [widths(upType)[thorough ? 1 : 0], widths(downType)[0]];
      const { check } = await createExperts([gateType, upType, downType], dim, ffn);
      if (thorough || variant === 'rows') await check(PROMPT, { variant });
      if (thorough) await check({ ...PROMPT, done: new Map() }, { variant, stalled: 3 });
      await check(ONE_TOKEN, { variant });
      if (thorough) await check(ONE_TOKEN_OF_TWO_BANKS, { variant });
    },
  );
});

describe('allocate', () => {
  it('returns zeroed memory, which the tests above rely on', async () => {
    const gpu = await getTestDevice();
    expect((await readBack(gpu, allocate(gpu, 64), Float32Array)).every((v) => v === 0)).toBe(true);
  });
});
