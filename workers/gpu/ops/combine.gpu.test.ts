import { describe, expect, it } from 'vitest';
import { compare, TOLERANCE } from '../../reference/tolerance.ts';
import {
  getTestDevice, makeContext, randomNormal, readRows, run, seededRandom, type StateValues, upload, uploadRows,
} from '../testing.ts';
import { combine } from './combine.ts';

async function runCombine(width: number, expertsPerToken: number, tokens: number, state: StateValues = {}) {
  const gpu = await getTestDevice();
  const random = seededRandom(width + expertsPerToken + tokens);
  const residual = randomNormal(random, tokens * width);
  const expertOut = randomNormal(random, tokens * expertsPerToken * width);
  const weights = Float32Array.from({ length: tokens * expertsPerToken }, random);
  const ctx = await makeContext('rows', { tokenCount: tokens, ...state });
  const rows = uploadRows(gpu, residual, width);
  await run(gpu, () =>
    combine(ctx, {
      residual: rows, expertOut: uploadRows(gpu, expertOut, width), routingWeights: upload(gpu, weights), width,
      expertsPerToken, maxTokens: tokens, place: 'test',
    }),
  );
  const expected = Float64Array.from(residual, (x, i) => {
    const [t, c] = [Math.floor(i / width), i % width];
    let sum = x;
    for (let k = 0; k < expertsPerToken; k++) {
      const row = t * expertsPerToken + k;
      sum += weights[row] * expertOut[row * width + c];
    }
    return sum;
  });
  return { residual, actual: await readRows(gpu, rows, tokens, width), expected };
}

describe('combine', () => {
  it.each([[36, 2, 1], [61, 1, 3], [256, 2, 17], [1000, 4, 2], [4096, 2, 5]])(
    'width %i, %i experts a token, %i tokens',
    async (width, expertsPerToken, tokens) => {
      const { actual, expected } = await runCombine(width, expertsPerToken, tokens);
      expect(compare(actual, expected, TOLERANCE.elementwise)).toBeNull();
    },
  );

  it('takes only the tokens there are, and does nothing when stalled', async () => {
    const partly = await runCombine(64, 2, 3, { tokenCount: 2 });
    expect(compare(partly.actual.subarray(0, 128), partly.expected.subarray(0, 128), TOLERANCE.elementwise)).toBeNull();
    expect(partly.actual.subarray(128)).toEqual(partly.residual.subarray(128));
    const stalled = await runCombine(64, 2, 3, { stalled: 1 });
    expect(stalled.actual).toEqual(stalled.residual);
  });
});
