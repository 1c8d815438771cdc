/** Compares the sampler in many workgroups with sorting in float64, and with the one in a single workgroup. */
import { describe, expect, it } from 'vitest';
import type { SamplingOptions } from '../../../../src/contract/engine-api.ts';
import { adjustLogits, candidates, draw, ranking, uniformOf } from '../../../reference/sample.ts';
import { type Case, keptBy, keptSizes, modelLogits, sampler, tiedLogits } from './sample-testing.ts';

/** Every kind of cut, alone and together, and the extremes. */
const OPTIONS: readonly SamplingOptions[] = [
  { temperature: 0 },
  { temperature: 1.3 },
  { topK: 1 },
  { topK: 40 },
  { topK: 511, temperature: 2 },
  { topP: 0 },
  { topP: 0.5 },
  { topP: 0.95, temperature: 0.7 },
  { minP: 0.05 },
  { minP: 1 },
  { temperature: 0.8, topK: 40, topP: 0.95, minP: 0.05, repetitionPenalty: 1.1 },
  { presencePenalty: 1, frequencyPenalty: 0.5, logitBias: { 0: 9, 11: 8.5 }, topK: 20, temperature: 1.2 },
];

/** Ids up to the cut, if adjusted logits have an error of some units in the last place. */
const keptWithin = (adjusted: Float32Array, { key, id }: { key: number; id: number }, units: number): number[] =>
  keptBy(adjusted, { key: Math.max(0, key - units), id });

/** Samples in both ways. Everything but the last bits of log-probabilities must be equal. */
async function both(one: Omit<Case, 'variant'>) {
  const blocks = await sampler({ ...one, variant: 'blocks' });
  const single = await sampler({ ...one, variant: 'last' });
  const known = ({ id, next, state, notFinite }: typeof single) => ({ id, next, state, notFinite });
  expect(known(blocks)).toEqual(known(single));
  expect(blocks.counts.every((count, i) => count === single.counts[i])).toBe(true);
  expect(blocks.top.map((token) => token.id)).toEqual(single.top.map((token) => token.id));
  for (const [i, { logprob }] of [single, ...single.top].entries()) {
    expect(Math.abs([blocks, ...blocks.top][i].logprob - logprob)).toBeLessThan(2e-4);
  }
  return { ...blocks, single };
}

/** The vocabulary of Mixtral. */
const LARGE = 32000;
const SMALL = 65;
/** Software adapters compile the kernels of each size for seconds. `VITE_ALL_VARIANTS=1` runs all. */
const SIZES = import.meta.env.VITE_ALL_VARIANTS ? [1, 63, SMALL, 129, LARGE, 151_936] : [SMALL, LARGE];

describe('sample, in many workgroups', () => {
  it.each(SIZES)('agrees with one workgroup in a vocabulary of %i', async (size) => {
    const counts = Uint32Array.from({ length: size }, (_, id) => (id % 5 === 0 ? 1 + (id % 3) : 0));
    for (const [i, { logitBias, ...rest }] of OPTIONS.entries()) {
      const one: SamplingOptions = { ...rest, ...(logitBias && size > 11 && { logitBias }) };
      const isAdjusted = one.repetitionPenalty !== undefined || one.presencePenalty !== undefined;
      const kinds = size <= SMALL ? ['model', 'tied'] : [i % 2 === 0 ? 'model' : 'tied'];
      for (const kind of kinds) {
        const logits = kind === 'model' ? modelLogits(size, 40 + i) : tiedLogits(size, 60 + i);
        const topCount = i % 3 === 0 ? 20 : 0;
        const sampled = await both({ logits, counts, topCount, ...one, seed: i, state: { step: i } });
        const adjusted = Float32Array.from(adjustLogits(logits, one, counts));
        const kept = keptWithin(adjusted, sampled.cut, isAdjusted ? 8 : 0);
        expect(kept).toEqual(keptWithin(adjusted, sampled.single.cut, isAdjusted ? 8 : 0));
        if (isAdjusted && kind === 'tied') continue;
        if (size > LARGE && one.topP !== undefined) continue; // f32 adds too many probabilities to be certain
        const [fewest, most] = keptSizes(adjusted, one.temperature === 0 ? { topK: 1 } : one);
        expect(kept.length, JSON.stringify(one)).toBeGreaterThanOrEqual(fewest);
        expect(kept.length, JSON.stringify(one)).toBeLessThanOrEqual(most);
      }
    }
  });

  it('draws the token that belongs to its random number, from the list', async () => {
    const options = { temperature: 1.3, topK: 60, topP: 0.97 };
    for (const logits of [modelLogits(LARGE, 3), tiedLogits(LARGE, 4)]) {
      const from = candidates(logits, options);
      for (let step = 0; step < 6; step++) {
        const { id, fromList } = await sampler({ logits, variant: 'blocks', ...options, seed: 99, state: { step } });
        expect(id).toBe(draw(from, uniformOf(99, step)));
        expect(fromList).toBe(true);
      }
    }
  });

  it('finds what a mask allows in the list, even if that is little', async () => {
    const logits = modelLogits(LARGE, 31);
    const best = new Set(ranking(logits).slice(0, 10));
    const masks = [
      (id: number) => !best.has(id) && id % 3 !== 1,
      (id: number) => id % 4000 === 7,
      (id: number) => id === 9,
    ];
    for (const [i, allowed] of masks.entries()) {
      const adjusted = adjustLogits(logits, {}, new Uint32Array(LARGE), allowed);
      for (const options of [
        { temperature: 1.2 },
        { topK: 40, topP: 0.9, minP: 0.01 },
        { topP: 0.8 },
      ] as SamplingOptions[]) {
        const { id, fromList } = await both({ logits, allowed, topCount: 5, seed: 77, ...options });
        expect(id).toBe(draw(candidates(adjusted, options), uniformOf(77, 0)));
        if (i > 0 || options.topK !== undefined) expect(fromList).toBe(true);
      }
    }
    const { NaN: nan, NEGATIVE_INFINITY: low } = Number;
    const hopeless = new Float32Array(SMALL).map((_, id) => (id % 2 ? nan : low));
    expect((await both({ logits: hopeless, allowed: (id) => id === 62 })).id).toBe(62);
  });

  it('leaves to one workgroup what is not in the list', async () => {
    const logits = modelLogits(LARGE, 5);
    const flat = new Float32Array(LARGE).fill(2);
    const cases: Omit<Case, 'variant'>[] = [
      { logits, topK: 2000, temperature: 3 },
      { logits, topP: 0.9999 },
      { logits: flat, topK: 3 },
      { logits: flat, topCount: 20, temperature: 0 },
      { logits: flat, minP: 0.5 },
    ];
    for (const one of cases)
      expect((await both({ ...one, seed: 5 })).fromList, JSON.stringify(Object.keys(one))).toBe(false);
  });

  it('treats NaN and infinities as one workgroup does, and reports them', async () => {
    const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;
    const logits = modelLogits(SMALL, 9).map((x, id) => (id % 10 === 0 ? [nan, infinity, -infinity][id % 3] : x));
    for (const options of [{ temperature: 0 }, { temperature: 1 }, { topK: 5, topP: 0.9 }, { minP: 0.1 }]) {
      expect((await both({ logits, topCount: 20, ...options })).notFinite).toBe(1);
    }
    // A single one, in the first and in the last block, by the greedy pick and by a draw.
    for (const [id, value] of [0, SMALL - 1].flatMap((at) => [nan, infinity, -infinity].map((x) => [at, x]))) {
      const one = modelLogits(SMALL, 9).fill(value, id, id + 1);
      for (const temperature of [0, 1]) {
        expect((await sampler({ logits: one, variant: 'blocks', temperature })).notFinite).toBe(1);
      }
    }
    expect((await both({ logits: modelLogits(SMALL, 9) })).notFinite).toBe(0);
  });

  it('repeats its tokens step by step, counts them, and does nothing in a stalled step', async () => {
    const options = { temperature: 1.2, topK: 40, repetitionPenalty: 1.3, frequencyPenalty: 0.1 };
    const logits = modelLogits(SMALL, 12);
    for (const seed of [1, 2, 3]) {
      const { state, counts } = await both({ logits, ...options, seed, repeats: 20, state: { position: 7 } });
      expect(state).toMatchObject({ position: 27, tokenCount: 1, step: 20 });
      expect(counts.reduce((a, b) => a + b)).toBe(20);
    }
    const stalled = await both({ logits, ...options, state: { position: 7, stalled: 3 } });
    expect(stalled.state).toMatchObject({ position: 7, step: 0 });
    expect([stalled.next, stalled.fromList]).toEqual([7, false]);
  });
});
