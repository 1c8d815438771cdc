import { describe, expect, it } from 'vitest';
import { attention as reference } from '../../../reference/attention.ts';
import { unpackHalves } from '../../../reference/half.ts';
import { compare, TOLERANCE } from '../../../reference/tolerance.ts';
import {
  allocate,
  allocateActivations,
  getTestDevice,
  makeContext,
  randomNormal,
  readActivations,
  run,
  type StateValues,
  seededRandom,
  upload,
  uploadActivations,
} from '../testing.ts';
import type { KernelChoice } from '../variants/kernel-variants.ts';
import { attention, attentionScratchBytes } from './attention.ts';

type Variant = KernelChoice['attention'];

const VARIANTS: Variant[] = ['steps', 'flash'];

/**
 * Heads of tests that have no need of others: on a software adapter, compiling the kernels for further heads takes
 * seconds, and those for a prompt do not depend on its length.
 */
const HEADS = [8, 2, 32] as const;

interface Case {
  headCount: number;
  kvHeadCount: number;
  headDim: number;
  tokens: number;
  position: number;
}

/** Random packed pairs of f16, about -4 .. 4. */
const randomHalves = (random: () => number, words: number): Uint32Array =>
  Uint32Array.from({ length: words }, () => {
    const half = () => (Math.floor(random() * 0x4400) & 0x3fff) | (random() < 0.5 ? 0x8000 : 0);
    return ((half() << 16) | half()) >>> 0;
  });

interface Options extends StateValues {
  capacity?: number;
  maxTokens?: number;
  scratchBytes?: number;
  variant?: Variant;
  /** The scale of the queries. A large scale gives sharp distributions. */
  scale?: number;
}

function makeData({ headCount, kvHeadCount, headDim, tokens, position }: Case, scale = 1) {
  const random = seededRandom(headDim * 7 + headCount + position * 13 + tokens);
  const words = ((position + tokens) * kvHeadCount * headDim) / 2;
  return {
    q: randomNormal(random, tokens * headCount * headDim, scale),
    keys: randomHalves(random, words),
    values: randomHalves(random, words),
  };
}

async function attend(shape: Case, options: Options = {}) {
  const { headCount, kvHeadCount, headDim, tokens, position } = shape;
  const {
    capacity = position + tokens,
    maxTokens = tokens,
    variant = 'steps',
    scale,
    scratchBytes,
    ...state
  } = options;
  const gpu = await getTestDevice();
  const ctx = await makeContext('rows', { tokenCount: tokens, position, ...state }, { attention: variant });
  const { q, keys, values } = makeData(shape, scale);
  const width = headCount * headDim;
  const cache = (words: Uint32Array) => {
    // Beyond the last position the caches contain NaN and infinities, which must not matter.
    const padded = new Uint32Array((capacity * kvHeadCount * headDim) / 2).fill(0x7e007c00);
    padded.set(words);
    return upload(gpu, padded);
  };
  const output = allocateActivations(gpu, maxTokens, width);
  const bytes = scratchBytes ?? attentionScratchBytes(ctx.kernels, { ...shape, capacity, maxTokens });
  await run(gpu, () =>
    attention(ctx, {
      q: uploadActivations(
        gpu,
        Float32Array.from({ ...q, length: maxTokens * width }, (x) => x ?? 0),
        width,
      ),
      keyCache: cache(keys),
      valueCache: cache(values),
      output,
      scratch: allocate(gpu, bytes),
      headCount,
      kvHeadCount,
      headDim,
      capacity,
      maxTokens,
      label: 'test',
    }),
  );
  return {
    actual: await readActivations(gpu, output, maxTokens, width),
    expected: reference(q, unpackHalves(keys), unpackHalves(values), position, shape),
  };
}

const shape = (headCount: number, kvHeadCount: number, headDim: number, tokens: number, position: number): Case => ({
  headCount,
  kvHeadCount,
  headDim,
  tokens,
  position,
});

describe.each(VARIANTS)('attention, variant %s', (variant) => {
  it.each<Case>([
    shape(1, 1, 32, 1, 0),
    shape(2, 2, 40, 1, 1),
    shape(4, 1, 64, 1, 63),
    shape(8, 2, 80, 1, 64),
    shape(3, 1, 96, 1, 700),
    shape(8, 4, 32, 1, 500),
    shape(4, 1, 128, 1, 700),
    shape(5, 1, 48, 1, 130),
    shape(2, 2, 40, 2, 0),
    shape(4, 1, 32, 5, 1),
    shape(8, 2, 64, 17, 63),
    shape(3, 1, 80, 17, 64),
    shape(6, 2, 96, 5, 700),
    shape(4, 4, 128, 17, 0),
    shape(2, 1, 6, 17, 120),
    shape(2, 1, 256, 2, 5),
    shape(6, 1, 34, 3, 127),
    shape(8, 1, 64, 1, 191),
    shape(32, 2, 32, 1, 100),
    shape(4, 2, 32, 63, 1),
    shape(8, 2, 32, 64, 64),
    shape(2, 1, 40, 65, 63),
    shape(4, 1, 128, 129, 60),
    shape(1, 1, 200, 1, 65),
  ])('$headCount:$kvHeadCount heads of $headDim, $tokens at $position', async (one) => {
    const { actual, expected } = await attend(one, { variant });
    expect(compare(actual, expected, TOLERANCE.softmax)).toBeNull();
  });

  it('agrees for sharp distributions with scores of hundreds', async () => {
    const { actual, expected } = await attend(shape(8, 2, 64, 3, 300), { variant, scale: 100 });
    // Scores of about 500 have an f32 error of 3e-5, which the exponential turns into a relative error.
    expect(compare(actual, expected, { relative: 3e-4, absolute: 1e-6 })).toBeNull();
  });

  it.each([1, 5])('gives the same bits for every capacity, %i tokens', async (tokens) => {
    const one = shape(4, 2, 32, tokens, 200);
    const { actual } = await attend(one, { variant });
    expect((await attend(one, { variant, capacity: 256 })).actual).toEqual(actual);
    expect((await attend(one, { variant, capacity: 1500 })).actual).toEqual(actual);
  });

  it('gives the same result if little scratch memory splits the tokens into batches', async () => {
    const one = shape(...HEADS, 17, 40);
    const { actual, expected } = await attend(one, { variant });
    const scratchBytes = attentionScratchBytes((await makeContext('rows', {}, { attention: variant })).kernels, {
      ...one,
      capacity: 57,
      maxTokens: 3,
    });
    expect((await attend(one, { variant, scratchBytes })).actual).toEqual(actual);
    expect(compare(actual, expected, TOLERANCE.softmax)).toBeNull();
  });

  it('computes only tokenCount tokens', async () => {
    const one = shape(...HEADS, 3, 40);
    const { actual, expected } = await attend(one, { variant, maxTokens: 8 });
    expect(compare(actual.subarray(0, expected.length), expected, TOLERANCE.softmax)).toBeNull();
    expect(actual.subarray(expected.length).every((value) => value === 0)).toBe(true);
  });

  it('does nothing when stalled', async () => {
    const { actual } = await attend(shape(4, 1, 32, 2, 9), { variant, stalled: 1 });
    expect(actual.every((value) => value === 0)).toBe(true);
  });
});

describe('attention', () => {
  it.each(VARIANTS)('gives a token the same result alone and within a batch, variant %s', async (variant) => {
    const batch = shape(4, 2, 32, 5, 126);
    const { actual } = await attend(batch, { variant });
    const { q, keys, values } = makeData(batch);
    const gpu = await getTestDevice();
    for (let t = 0; t < 5; t++) {
      const ctx = await makeContext('rows', { position: 126 + t }, { attention: variant });
      const output = allocateActivations(gpu, 1, 128);
      await run(gpu, () =>
        attention(ctx, {
          ...batch,
          q: uploadActivations(gpu, q.slice(t * 128, (t + 1) * 128), 128),
          keyCache: upload(gpu, keys),
          valueCache: upload(gpu, values),
          output,
          capacity: 131,
          maxTokens: 1,
          label: 'test',
          scratch: allocate(gpu, attentionScratchBytes(ctx.kernels, { ...batch, capacity: 131, maxTokens: 1 })),
        }),
      );
      const alone = await readActivations(gpu, output, 1, 128);
      expect(compare(alone, actual.subarray(t * 128, (t + 1) * 128), TOLERANCE.elementwise)).toBeNull();
    }
  });

  it.each(VARIANTS)('needs bounded scratch memory, and throws if it has too little, variant %s', async (variant) => {
    const { kernels } = await makeContext('rows', {}, { attention: variant });
    const large = { headCount: 32, headDim: 128, maxTokens: 512 };
    const [few, many] = variant === 'flash' ? [1.1, 17] : [32, 64];
    expect(attentionScratchBytes(kernels, { ...large, capacity: 4096 })).toBeLessThanOrEqual(few * 2 ** 20);
    expect(attentionScratchBytes(kernels, { ...large, capacity: 65536 })).toBeLessThanOrEqual(many * 2 ** 20);
    await expect(attend(shape(4, 1, 32, 1, 500), { variant, scratchBytes: 1024 })).rejects.toThrow(RangeError);
  });

  it('takes two dispatches for a token and one for a prompt as flash attention', async () => {
    const gpu = await getTestDevice();
    const ctx = await makeContext('rows', {}, { attention: 'flash' });
    const count = (maxTokens: number): number => {
      const one = { ...shape(4, 2, 32, maxTokens, 0), capacity: 600, maxTokens, label: 'test' };
      const cache = allocate(gpu, 600 * 2 * 32 * 2);
      const activations = allocateActivations(gpu, maxTokens, 128);
      const scratch = allocate(gpu, attentionScratchBytes(ctx.kernels, one));
      return attention(ctx, {
        ...one,
        q: activations,
        keyCache: cache,
        valueCache: cache,
        output: allocateActivations(gpu, maxTokens, 128),
        scratch,
      }).length;
    };
    expect([1, 2, 512].map(count)).toEqual([2, 1, 1]);
  });
});
