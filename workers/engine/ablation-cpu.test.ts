/** Changed routing, in Node with the CPU backend: each option against float64, and what is refused. */
import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { AblationOptions } from '../../src/contract/engine-api.ts';
import { compiledKernels } from '../compute/cpu/testing.ts';
import { LOGPROB_TOLERANCE } from '../reference/tolerance.ts';
import { SYNTH_PRESETS } from '../synth/presets.ts';
import { ABLATIONS, type AblatedModel, expectAblationNearFloat64 } from './ablation-testing.ts';
import { engineWith } from './testing.ts';

vi.mock('../compute/cpu/compile-kernels.ts', () => ({ compileKernels: async () => compiledKernels() }));

let model: AblatedModel & Awaited<ReturnType<typeof engineWith>>;
beforeAll(async () => {
  // Node 20 has no navigator. With one core the engine computes without further workers, which Node does not have.
  vi.stubGlobal('navigator', { hardwareConcurrency: 1 });
  model = await engineWith(SYNTH_PRESETS.tiny);
  await model.engine.load({ modelId: model.modelId, compute: 'cpu' }, () => {});
});

const text = 'the first men of that day had been there before us';
const score = (ablation?: AblationOptions) =>
  model.engine.score(
    { input: { kind: 'text', text }, context: 64, trace: true, ...(ablation && { ablation }) },
    () => {},
  );

describe('an ablation', () => {
  it.each(ABLATIONS)('selects and predicts as float64: %s', (_, ablation, route) =>
    expectAblationNearFloat64(model, ablation, route),
  );

  it.each(ABLATIONS)('applies to decoded tokens too: %s', async (_, ablation) => {
    const request = { input: { kind: 'text' as const, text }, context: 64, trace: true, ablation };
    const decoded = await model.engine.score({ ...request, lossy: {} }, () => {});
    const together = await model.engine.score(request, () => {});
    expect(decoded.trace).toEqual(together.trace);
    expect(Math.abs(decoded.nll - together.nll)).toBeLessThan(LOGPROB_TOLERANCE);
  });

  it('that changes nothing gives the same result to the bit', async () => {
    const exact = await score();
    const neutral: AblationOptions = {
      expertsUsed: 2,
      choicesSkipped: 0,
      noise: { amount: 0, seed: 3 },
      banned: [],
      replaced: [{ expert: 5, by: 5 }],
    };
    const changed = await score(neutral);
    expect([changed.nll, changed.trace]).toEqual([exact.nll, exact.trace]);
  });

  it('can be repeated with the same seed of the noise, and differs with another one', async () => {
    const noisy = (seed: number) => score({ noise: { amount: 2, seed } });
    const first = await noisy(1);
    expect((await noisy(1)).nll).toBe(first.nll);
    expect((await noisy(2)).trace).not.toEqual(first.trace);
  });

  it.each<[AblationOptions, RegExp]>([
    [{ choicesSkipped: 2 }, /Skipping 2 of 2 experts/],
    [{ choicesSkipped: 1, expertsUsed: 1 }, /Skipping 1 of 1 experts/],
    [{ choicesSkipped: -1 }, /Skipping -1/],
    [{ noise: { amount: -1, seed: 0 } }, /Noise of -1/],
    [{ noise: { amount: Number.NaN, seed: 0 } }, /Noise of NaN/],
    [{ noise: { amount: 1, seed: 0.5 } }, /0.5 is no seed/],
    [{ randomSeed: 2 ** 32 }, /is no seed/],
    [{ replaced: [{ expert: 8, by: 0 }] }, /There is no expert 8/],
    [{ replaced: [{ layer: 2, expert: 0, by: 0 }] }, /There is no expert 0 in layer 2/],
    [{ replaced: [{ expert: 0, by: 8 }] }, /Expert 8 cannot replace/],
    [
      {
        replaced: [
          { expert: 0, by: 1 },
          { layer: 1, expert: 0, by: 2 },
        ],
      },
      /Expert 0 is replaced twice/,
    ],
    [{ replaced: [{ by: 1 }, { expert: 6, by: 2 }] }, /Expert 6 is replaced twice/],
    [{ replaced: [{ layer: 3, by: 1 }] }, /There is no expert 0 in layer 3/],
  ])('is refused: %j', async (ablation, message) => {
    await expect(score(ablation)).rejects.toMatchObject({ code: 'bad-request', message });
  });
});
