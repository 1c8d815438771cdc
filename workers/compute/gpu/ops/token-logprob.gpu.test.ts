import { describe, expect, it } from 'vitest';
import {
  getTestDevice,
  makeContext,
  randomNormal,
  readBack,
  run,
  seededRandom,
  UNTOUCHED,
  upload,
  uploadActivations,
} from '../testing.ts';
import type { MatrixVariant } from './context.ts';
import { tokenLogprob } from './token-logprob.ts';

/** The log-probabilities in float64. */
function expected(logits: Float32Array, width: number, targets: readonly number[]): number[] {
  return targets.map((target, t) => {
    const row = [...logits.subarray(t * width, (t + 1) * width)];
    const largest = Math.max(...row);
    return row[target] - largest - Math.log(row.reduce((sum, x) => sum + Math.exp(x - largest), 0));
  });
}

describe.each<MatrixVariant>(['rows', 'workgroup'])('token_logprob, %s', (variant) => {
  it.each([
    [1, 7],
    [5, 300],
    [3, 4097],
  ])('%i rows of %i', async (rows, width) => {
    const gpu = await getTestDevice();
    const logits = randomNormal(seededRandom(rows * width), rows * width, 6);
    logits[width - 1] = 95; // exp overflows in f32 unless the maximum is subtracted
    const targets = Array.from({ length: rows }, (_, t) => (t * 37) % width);
    const output = upload(gpu, new Float32Array(rows + 1).fill(UNTOUCHED));
    const ctx = await makeContext(variant, { tokenCount: rows });
    await run(gpu, () =>
      tokenLogprob(ctx, {
        logits: uploadActivations(gpu, logits, width),
        vocabularySize: width,
        targets: upload(gpu, Uint32Array.from(targets)),
        output,
        maxTokens: rows + 1,
      }),
    );
    const actual = await readBack(gpu, output, Float32Array);
    for (const [t, want] of expected(logits, width, targets).entries()) {
      expect(Math.abs(actual[t] - want)).toBeLessThan(1e-4 * Math.max(1, Math.abs(want)));
    }
    expect(actual[rows]).toBe(UNTOUCHED);
  });
});
