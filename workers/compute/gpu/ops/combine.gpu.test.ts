import { describe, expect, it } from 'vitest';
import { compare, TOLERANCE } from '../../../reference/tolerance.ts';
import {
  getTestDevice,
  makeContext,
  randomNormal,
  readActivations,
  readBack,
  run,
  type StateValues,
  seededRandom,
  uploadActivations,
} from '../testing.ts';
import { combine } from './combine.ts';

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
