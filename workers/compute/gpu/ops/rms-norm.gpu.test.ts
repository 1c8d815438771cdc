import { describe, expect, it } from 'vitest';
import { rmsNorm as reference } from '../../../reference/norm.ts';
import { compare, TOLERANCE } from '../../../reference/tolerance.ts';
import {
  allocateActivations,
  getTestDevice,
  makeContext,
  randomNormal,
  readActivations,
  readBack,
  run,
  type StateValues,
  seededRandom,
  upload,
  uploadActivations,
} from '../testing.ts';
import type { MatrixVariant } from './context.ts';
import { rmsNorm } from './rms-norm.ts';

const EPSILON = 1e-5;

async function normalise(
  variant: MatrixVariant,
  x: Float32Array,
  weight: Float32Array,
  { maxTokens = x.length / weight.length, ...state }: StateValues & { maxTokens?: number } = {},
) {
  const gpu = await getTestDevice();
  const width = weight.length;
  const ctx = await makeContext(variant, { tokenCount: maxTokens, ...state });
  const output = allocateActivations(gpu, maxTokens, width);
  const input = uploadActivations(gpu, x, width);
  await run(gpu, () =>
    rmsNorm(ctx, { input, weight: upload(gpu, weight), output, width, epsilon: EPSILON, maxTokens, label: 'test' }),
  );
  return { gpu, output, rows: await readActivations(gpu, output, maxTokens, width) };
}

describe.each<MatrixVariant>(['rows', 'workgroup'])('rmsNorm, variant %s', (variant) => {
  it.each([
    [36, 1],
    [36, 17],
    [61, 3],
    [61, 63],
    [61, 64],
    [61, 65],
    [61, 129],
    [256, 2],
    [1000, 5],
    [4096, 1],
    [4096, 2],
    [14336, 1],
  ])('width %i, %i tokens', async (width, tokens) => {
    const random = seededRandom(width + tokens);
    const x = randomNormal(random, width * tokens, 3);
    const weight = randomNormal(random, width);
    const { gpu, output, rows } = await normalise(variant, x, weight);
    expect(compare(rows, reference(x, weight, width, EPSILON), TOLERANCE.reduction)).toBeNull();
    // The padding, which later kernels read as zeros.
    const all = await readBack(gpu, output.slice, Float32Array);
    const tail = (i: number): boolean => i % output.stride >= width;
    expect(all.filter((_, i) => tail(i)).every((value) => value === 0)).toBe(true);
  });

  it('is dominated by epsilon for tiny inputs, and gives zeros for zeros', async () => {
    const x = new Float32Array(128).fill(1e-4, 64);
    const weight = new Float32Array(64).fill(2);
    const { rows } = await normalise(variant, x, weight);
    expect(compare(rows, reference(x, weight, 64, EPSILON), TOLERANCE.elementwise)).toBeNull();
    expect([rows[0], rows[63]]).toEqual([0, 0]);
  });

  it('writes only tokenCount tokens, and nothing when stalled', async () => {
    const x = randomNormal(seededRandom(1), 64 * 3);
    const weight = new Float32Array(64).fill(1);
    const partly = await normalise(variant, x, weight, { tokenCount: 2 });
    expect(partly.rows[127]).not.toBe(0);
    expect(partly.rows.subarray(128).every((value) => value === 0)).toBe(true);
    const stalled = await normalise(variant, x, weight, { stalled: 1 });
    expect(stalled.rows.every((value) => value === 0)).toBe(true);
  });
});
