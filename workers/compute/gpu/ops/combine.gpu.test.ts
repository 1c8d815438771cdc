import { describe, expect, it } from 'vitest';
import { rmsNorm } from '../../../reference/norm.ts';
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
import { combine } from './combine.ts';
import { combineAndNorm } from './combine-norm.ts';

/** Adds rows to sums in place, and returns both. */
async function runCombine(sums: Float32Array, rows: Float32Array, width: number, state: StateValues = {}) {
  const gpu = await getTestDevice();
  const maxTokens = sums.length / width;
  const rowsPerSum = rows.length / sums.length;
  const ctx = await makeContext('rows', { tokenCount: maxTokens, ...state });
  const onGpu = { sums: uploadActivations(gpu, sums, width), rows: uploadActivations(gpu, rows, width) };
  await run(gpu, () => combine(ctx, { ...onGpu, rowsPerSum, width, maxTokens, label: 'test' }));
  return {
    sums: await readActivations(gpu, onGpu.sums, maxTokens, width),
    rows: await readActivations(gpu, onGpu.rows, maxTokens * rowsPerSum, width),
    whole: await readBack(gpu, onGpu.sums.slice, Float32Array),
  };
}

function randomInputs(width: number, rowsPerSum: number, tokens: number) {
  const random = seededRandom(width + rowsPerSum + tokens);
  const sums = randomNormal(random, tokens * width);
  const rows = randomNormal(random, tokens * rowsPerSum * width);
  const expected = Float64Array.from(sums, (x, i) => {
    const [t, c] = [Math.floor(i / width), i % width];
    let sum = x;
    for (let k = 0; k < rowsPerSum; k++) sum += rows[(t * rowsPerSum + k) * width + c];
    return sum;
  });
  return { sums, rows, expected };
}

describe('combine', () => {
  it.each([
    [36, 2, 1],
    [61, 1, 3],
    [61, 1, 63],
    [61, 1, 64],
    [61, 1, 65],
    [61, 2, 129],
    [256, 2, 17],
    [1000, 4, 2],
    [4096, 2, 5],
  ])('width %i, %i rows a sum, %i tokens', async (width, rowsPerSum, tokens) => {
    const { sums, rows, expected } = randomInputs(width, rowsPerSum, tokens);
    const after = await runCombine(sums, rows, width);
    expect(compare(after.sums, expected, TOLERANCE.elementwise)).toBeNull();
    expect(after.rows.every((value) => value === 0)).toBe(true);
  });

  it('adds only tokenCount tokens, and does nothing when stalled', async () => {
    const { sums, rows, expected } = randomInputs(64, 2, 3);
    const partly = await runCombine(sums, rows, 64, { tokenCount: 2 });
    expect(compare(partly.sums.subarray(0, 128), expected.subarray(0, 128), TOLERANCE.elementwise)).toBeNull();
    expect([partly.sums.subarray(128), partly.rows.subarray(256)]).toEqual([sums.subarray(128), rows.subarray(256)]);
    const stalled = await runCombine(sums, rows, 64, { stalled: 1 });
    expect([stalled.sums, stalled.rows]).toEqual([sums, rows]);
  });

  it('gives the same bits for two experts together and in either order', async () => {
    const [width, tokens] = [96, 50];
    const { rows } = randomInputs(width, 2, tokens);
    const none = new Float32Array(tokens * width);
    const only = (k: number) => rows.map((value, i) => (Math.floor(i / width) % 2 === k ? value : 0));
    const together = (await runCombine(none, rows, width)).whole;
    for (const [first, second] of [
      [0, 1],
      [1, 0],
    ]) {
      const half = await runCombine(none, only(first), width);
      expect((await runCombine(half.sums, only(second), width)).whole).toEqual(together);
    }
  });
});

describe.each(['separate', 'fused'] as const)('combineAndNorm, variant %s', (between) => {
  async function runBoth(sums: Float32Array, rows: Float32Array, weight: Float32Array, state: StateValues = {}) {
    const gpu = await getTestDevice();
    const width = weight.length;
    const maxTokens = sums.length / width;
    const ctx = await makeContext('workgroup', { tokenCount: maxTokens, ...state }, { between });
    const onGpu = { sums: uploadActivations(gpu, sums, width), rows: uploadActivations(gpu, rows, width) };
    const output = allocateActivations(gpu, maxTokens, width);
    const shape = { rowsPerSum: rows.length / sums.length, width, epsilon: 1e-5, maxTokens, label: 'test' };
    const weights = upload(gpu, weight);
    await run(gpu, () => combineAndNorm(ctx, { ...onGpu, weight: weights, output, ...shape }));
    return {
      sums: await readActivations(gpu, onGpu.sums, maxTokens, width),
      rows: await readActivations(gpu, onGpu.rows, rows.length / width, width),
      normed: await readActivations(gpu, output, maxTokens, width),
      whole: await readBack(gpu, output.slice, Float32Array),
    };
  }

  it.each([
    [36, 2, 1],
    [61, 1, 3],
    [256, 2, 65],
    [1000, 4, 2],
    [4096, 2, 1],
  ])('width %i, %i rows a sum, %i tokens', async (width, rowsPerSum, tokens) => {
    const { sums, rows, expected } = randomInputs(width, rowsPerSum, tokens);
    const weight = randomNormal(seededRandom(width), width);
    const after = await runBoth(sums, rows, weight);
    expect(compare(after.sums, expected, TOLERANCE.elementwise)).toBeNull();
    expect(after.rows.every((value) => value === 0)).toBe(true);
    expect(compare(after.normed, rmsNorm(expected, weight, width, 1e-5), TOLERANCE.reduction)).toBeNull();
    // Nothing but zeros in the padding, which later kernels read.
    expect(after.whole.filter((value) => value !== 0)).toHaveLength(after.normed.filter((value) => value !== 0).length);
  });

  it('does nothing when stalled, nor for tokens beyond tokenCount', async () => {
    const { sums, rows } = randomInputs(64, 2, 3);
    const weight = new Float32Array(64).fill(1);
    const stalled = await runBoth(sums, rows, weight, { stalled: 1 });
    expect([stalled.sums, stalled.rows]).toEqual([sums, rows]);
    expect(stalled.normed.every((value) => value === 0)).toBe(true);
    const partly = await runBoth(sums, rows, weight, { tokenCount: 2 });
    expect([partly.sums.subarray(128), partly.rows.subarray(256)]).toEqual([sums.subarray(128), rows.subarray(256)]);
    expect(partly.normed[127]).not.toBe(0);
    expect(partly.normed.subarray(128).every((value) => value === 0)).toBe(true);
  });
});
