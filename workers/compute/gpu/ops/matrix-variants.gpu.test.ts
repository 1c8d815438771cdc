/**
 * The variants of the matrix kernels that are only for GPUs, against float64. `rows` and `workgroup` are tested with the
 * operations (matmul.gpu.test.ts). Compiling takes most of the time here, so each case compiles few pipelines.
 */
import { describe, expect, it } from 'vitest';
import { WEIGHT_TYPES, type WeightTypeName } from '../../../format/weight-layout.ts';
import {
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
import { KERNEL_VARIANTS, type KernelChoice, kernelAdapter } from '../variants/kernel-variants.ts';
import type { BatchVariant, FewVariant, VectorVariant } from '../variants/matrix-variants.ts';
import { createExperts, ONE_TOKEN, ONE_TOKEN_OF_TWO_BANKS, PROMPT, PROMPT_OF_TILES } from './expert-testing.ts';
import { matmul } from './matmul.ts';
import { expectClose, reference, sample, widths } from './matrix-testing.ts';

const TYPES = Object.keys(WEIGHT_TYPES) as WeightTypeName[];

const variant = 'workgroup';

/** An odd number of rows: no multiple of what a workgroup computes. */
const ROWS = 67;

/** Compares a product with float64, for several numbers of tokens with the same pipeline. */
async function checkProducts(kernels: Partial<KernelChoice>, type: WeightTypeName, tokenCounts: readonly number[]) {
  const gpu = await getTestDevice();
  const random = seededRandom(ROWS);
  const cols = widths(type)[1];
  const weights = sample(type, ROWS, cols, random);
  const matrix = { layout: weights.layout, slice: upload(gpu, weights.record) };
  for (const tokens of tokenCounts) {
    const x = randomNormal(random, tokens * cols);
    const input = uploadActivations(gpu, x, cols);
    // One more row than tokens: it must stay zero.
    const output = allocateActivations(gpu, tokens + 1, ROWS);
    const ctx = await makeContext(variant, { tokenCount: tokens }, kernels);
    await run(gpu, () => matmul(ctx, { matrix, input, output, maxTokens: tokens, label: 'test' }));
    expectClose(await readActivations(gpu, output, tokens, ROWS), reference(weights, x));
    const all = await readBack(gpu, output.slice, Float32Array);
    expect(all.slice(ROWS, output.stride).every((value) => value === 0)).toBe(true);
    expect(all.slice(tokens * output.stride).every((value) => value === 0)).toBe(true);
  }
}

/** One and a few tokens, and many: around the sizes of tiles. */
const TOKENS: Record<'vector' | 'few' | 'batch', readonly number[]> = {
  vector: [1],
  few: [2, 3, 8],
  batch: [9, 63, 64, 65, 129],
};

/**
 * A type without blocks, one with minima and one with a factor per 16 weights. The kernel of the few inputs reads weights
 * as that of one input does, and tiles unpack them as `embed` does, which is tested with all types.
 */
const SOME_TYPES: readonly WeightTypeName[] = ['F16', 'Q4_K', 'Q6_K'];

/** Variants that are tested with several types; the others divide the same work by other numbers. */
const WITH_TYPES: Record<string, readonly WeightTypeName[]> = {
  'vector staged-64x4': TYPES,
  'few staged': SOME_TYPES,
  'batch tiled-64x32': SOME_TYPES,
};
/** Variants whose experts are tested. */
const WITH_EXPERTS = [...Object.keys(WITH_TYPES), 'vector subgroup-64x4'];

interface MatrixCase {
  family: 'vector' | 'few' | 'batch';
  name: VectorVariant & FewVariant & BatchVariant;
}

const CASES = KERNEL_VARIANTS.filter(
  ({ family, name }) => family in TOKENS && name !== 'rows' && name !== 'workgroup',
) as unknown as MatrixCase[];

it('tests variants that exist and that this adapter can run', async () => {
  const adapter = kernelAdapter(await getTestDevice(), true);
  const names = CASES.map(({ family, name }) => `${family} ${name}`);
  for (const name of WITH_EXPERTS) expect(names).toContain(name);
  for (const { family, name } of CASES) {
    const entry = KERNEL_VARIANTS.find((one) => one.family === family && one.name === name)!;
    expect(`${name} lacks ${entry.missing(adapter)}`).toBe(`${name} lacks undefined`);
  }
});

describe.each(CASES)('matmul, $family $name', ({ family, name }) => {
  it.each(WITH_TYPES[`${family} ${name}`] ?? ['Q4_K'])('%s agrees with float64', async (type) => {
    const tokens = TOKENS[family];
    await checkProducts({ [family]: name }, type, type === 'Q4_K' ? tokens : tokens.slice(-2));
  });
});

const WITH_EXPERTS_CASES = CASES.filter(({ family, name }) => WITH_EXPERTS.includes(`${family} ${name}`));

describe.each(WITH_EXPERTS_CASES)('experts, $family $name', ({ family, name }) => {
  // The tiles also with an expert of two types.
  const upType = (name as string) === 'tiled-64x32' ? 'Q6_K' : 'Q4_K';
  const types = ['Q4_K', upType, 'Q4_K'] as const;

  it(`computes gate, up and down of the experts in their slots: ${types.join(', ')}`, async () => {
    const { check } = await createExperts(types, 768, 256);
    const options = { variant, kernels: { [family]: name } } as const;
    if (family === 'vector') {
      await check(ONE_TOKEN, options);
      await check(ONE_TOKEN_OF_TWO_BANKS, options);
      return;
    }
    const typicalAssignments = TOKENS[family][0];
    await check(PROMPT, { ...options, typicalAssignments });
    await check({ ...PROMPT, done: new Map() }, { ...options, typicalAssignments, stalled: 3 });
    if (family === 'batch') await check(PROMPT_OF_TILES, options);
    // Fewer tokens than is typical: an expert with one assignment.
    await check(ONE_TOKEN, { ...options, typicalAssignments });
  });
});
