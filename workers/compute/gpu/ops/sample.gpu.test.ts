/** Compares the sampler with sorting in float64, and its draws with their expected probabilities. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { SamplingOptions } from '../../../../src/contract/engine-api.ts';
import { adjustLogits, candidates, draw, logProbabilities, ranking, uniformOf } from '../../../reference/sample.ts';
import { compare, TOLERANCE } from '../../../reference/tolerance.ts';
import { randomNormal, seededRandom } from '../testing.ts';
import type { MatrixVariant } from './context.ts';
import { keptBy, keptSizes, modelLogits, sampler, tiedLogits } from './sample-testing.ts';

const VOCABULARIES = [301, 4096, 32000];

/** These logits, then tokens that cannot be sampled, up to a vocabulary whose kernels other tests compile too. */
const padded = (values: Iterable<number>): Float32Array => {
  const logits = new Float32Array(301).fill(Number.NEGATIVE_INFINITY);
  logits.set([...values]);
  return logits;
};

describe.each<MatrixVariant>(['rows', 'workgroup'])('sample, variant %s', (variant) => {
  it('handles the largest vocabulary of Mistral, 131072 tokens', async () => {
    const logits = modelLogits(131_072, 5);
    const sorted = ranking(logits);
    const { id, top, cut } = await sampler({ logits, variant, temperature: 1.5, topK: 40, topCount: 20 });
    expect(top.map((token) => token.id)).toEqual(sorted.slice(0, 20));
    expect(sorted.slice(0, 40)).toContain(id);
    expect(keptBy(logits, cut)).toEqual(sorted.slice(0, 40));
    // In f32, sums of so many probabilities have an error of about 1e-5.
    const size = keptBy(logits, (await sampler({ logits, variant, temperature: 1, topP: 0.5 })).cut).length;
    expect(size).toBeGreaterThanOrEqual(candidates(logits, { topP: 0.5 - 1e-5 }).length);
    expect(size).toBeLessThanOrEqual(candidates(logits, { topP: 0.5 + 1e-5 }).length);
  });

  describe.each(VOCABULARIES)('vocabulary %i', (vocabularySize) => {
    const logits = modelLogits(vocabularySize, 3);
    const tied = tiedLogits(vocabularySize, 4);

    it('selects the largest logit when greedy, of equal logits the lower id', async () => {
      expect((await sampler({ logits, variant, temperature: 0 })).id).toBe(ranking(logits)[0]);
      expect((await sampler({ logits: tied, variant, temperature: 0 })).id).toBe(ranking(tied)[0]);
      const last = new Float32Array(vocabularySize).fill(-5);
      last[vocabularySize - 1] = -4;
      expect((await sampler({ logits: last, variant, temperature: 0 })).id).toBe(vocabularySize - 1);
    });

    it.each([
      ['different', logits],
      ['tied', tied],
    ] as const)('lists the likeliest of %s logits', async (_, values) => {
      const { id, logprob, top } = await sampler({ logits: values, variant, temperature: 0, topCount: 20 });
      const expected = logProbabilities(values);
      expect(top.map((token) => token.id)).toEqual(ranking(values).slice(0, 20));
      expect(
        compare(
          top.map((token) => token.logprob),
          top.map((token) => expected[token.id]),
          TOLERANCE.softmax,
        ),
      ).toBeNull();
      expect(logprob).toBe(top[0].logprob);
      expect(id).toBe(top[0].id);
    });

    it.each<SamplingOptions>([
      { topK: 1 },
      { topK: 40 },
      { topK: 300 },
      { topP: 0.1 },
      { topP: 0.9 },
      { topP: 0.999 },
      { minP: 0.1 },
      { minP: 0.001 },
      { topK: 50, topP: 0.7 },
      { topK: 200, topP: 0.95, minP: 0.05 },
      { topK: 100000, topP: 1, minP: 0 },
    ])('keeps what sorting keeps: %o', async (options) => {
      for (const values of [logits, tied]) {
        const { cut, id } = await sampler({ logits: values, variant, ...options, temperature: 1.5 });
        const kept = keptBy(values, cut);
        const [fewest, most] = keptSizes(values, options);
        expect(kept.length).toBeGreaterThanOrEqual(fewest);
        expect(kept.length).toBeLessThanOrEqual(most);
        expect(kept).toEqual(ranking(values).slice(0, kept.length));
        expect(kept).toContain(id);
        // The size is certain, except for top-p 0.999: its last tokens have probabilities below the rounding of f32.
        if (options.topP !== 0.999) expect(most).toBe(fewest);
      }
    });

    it('draws the token that belongs to its random number', async () => {
      const options = { topK: 60, topP: 0.97, temperature: 1.3 };
      for (const values of [logits, tied]) {
        const from = candidates(values, options);
        const want = Array.from({ length: 12 }, (_, step) => draw(from, uniformOf(99, step)));
        const got: number[] = [];
        for (let step = 0; step < 12; step++) {
          got.push((await sampler({ logits: values, variant, ...options, seed: 99, state: { step } })).id);
        }
        expect(got).toEqual(want);
        expect(new Set(want).size).toBeGreaterThan(3);
      }
    });
  });
});

describe.each<MatrixVariant>(['rows', 'workgroup'])('a mask of allowed tokens, variant %s', (variant) => {
  // Not allowed are the likeliest tokens, and some of the last ones and of those at the ends of mask words.
  const allowedIn = (logits: Float32Array): ((id: number) => boolean) => {
    const best = new Set(ranking(logits).slice(0, 10));
    return (id) => !best.has(id) && id % 3 !== 1;
  };

  it.each([301, 32000])(
    'limits greedy selection, cuts and draws in a vocabulary of %i tokens',
    async (vocabularySize) => {
      for (const logits of [modelLogits(vocabularySize, 31), tiedLogits(vocabularySize, 32)]) {
        const allowed = allowedIn(logits);
        const adjusted = adjustLogits(logits, {}, new Uint32Array(vocabularySize), allowed);
        const greedy = await sampler({ logits, variant, allowed, temperature: 0, topCount: 5 });
        expect(greedy.id).toBe(ranking(adjusted)[0]);
        // Reported log-probabilities are those of the raw logits, including excluded tokens.
        expect(greedy.top.map(({ id }) => id)).toEqual(ranking(logits).slice(0, 5));
        expect(greedy.logprob).toBeCloseTo(logProbabilities(logits)[greedy.id], 4);
        for (const options of [
          { topK: 40 },
          { topP: 0.8 },
          { topK: 60, topP: 0.97, minP: 0.01, temperature: 1.3 },
        ] satisfies SamplingOptions[]) {
          const from = candidates(adjusted, options);
          for (let step = 0; step < 6; step++) {
            const { id } = await sampler({ logits, variant, allowed, ...options, seed: 77, state: { step } });
            expect(id).toBe(draw(from, uniformOf(77, step)));
          }
        }
      }
    },
  );

  it('holds if it allows fewer tokens than the cuts, only one, or only tokens with very low logits', async () => {
    const logits = modelLogits(301, 33);
    const last = ranking(logits).slice(-3);
    const few = await sampler({
      logits,
      variant,
      allowed: (id) => last.includes(id),
      topK: 40,
      temperature: 2,
      repeats: 100,
    });
    expect(last.reduce((sum, id) => sum + few.counts[id], 0)).toBe(100);
    for (const temperature of [0, 1]) {
      expect(
        (await sampler({ logits, variant, allowed: (id) => id === 300, topK: 40, topP: 0.5, minP: 0.1, temperature }))
          .id,
      ).toBe(300);
      const hopeless = padded([9, Number.NEGATIVE_INFINITY, Number.NaN, 8]);
      expect((await sampler({ logits: hopeless, variant, allowed: (id) => id === 2, temperature })).id).toBe(2);
    }
  });
});

describe('sample', () => {
  const logits = modelLogits(301, 8);

  it('applies bias and penalties before sampling, but reports raw log-probabilities', async () => {
    const counts = new Uint32Array(301);
    const [first, second, third] = ranking(logits);
    counts[first] = 3;
    counts[200] = 1;
    const options = { repetitionPenalty: 1.2, presencePenalty: 0.7, frequencyPenalty: 0.9, logitBias: { [third]: 6 } };
    const adjusted = adjustLogits(logits, options, counts);
    expect(ranking(adjusted)[0]).toBe(third);
    const biased = await sampler({ logits, ...options, counts, temperature: 0 });
    expect(biased.id).toBe(third);
    expect(biased.logprob).toBeCloseTo(logProbabilities(logits)[third], 4);
    const penalised = await sampler({ logits, ...options, logitBias: {}, counts, temperature: 0 });
    expect(penalised.id).toBe(second);
  });

  it.each<SamplingOptions>([
    { repetitionPenalty: 1.7 },
    { presencePenalty: 1.5 },
    { frequencyPenalty: 0.4 },
    { logitBias: { 3: 2, 9: -100 } },
  ])('orders tokens by their adjusted logits: %o', async (options) => {
    const counts = Uint32Array.from({ length: 301 }, (_, id) => id % 3);
    const values = randomNormal(seededRandom(21), 301, 2);
    const adjusted = adjustLogits(values, options, counts);
    for (const topK of [1, 3, 7, 12]) {
      const { cut } = await sampler({ logits: values, ...options, counts, topK });
      const expected = candidates(adjusted, { topK }).map(({ id }) => id);
      // Adjusted logits in f32 may differ by some units in the last place.
      expect(keptBy(Float32Array.from(adjusted), { ...cut, key: cut.key - 8 })).toEqual(expected);
    }
  });

  it('survives NaN and infinities', async () => {
    const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;
    const values = padded([nan, -1, -infinity, 2, nan, 1]);
    const greedy = await sampler({ logits: values, temperature: 0, topCount: 3 });
    expect(greedy.top.map(({ id }) => id)).toEqual([3, 5, 1]);
    expect(greedy.id).toBe(3);
    const { counts } = await sampler({ logits: values, repeats: 200 });
    expect([counts[0], counts[2], counts[4]]).toEqual([0, 0, 0]);
    expect(counts[1] + counts[3] + counts[5]).toBe(200);
  });

  it('advances the state, stores the token for the next step and counts it', async () => {
    const state = { tokenCount: 5, position: 40, step: 2 };
    const { id, next, counts, state: after } = await sampler({ logits, state, temperature: 0 });
    expect(after).toMatchObject({ tokenCount: 1, position: 45, stalled: 0, step: 3 });
    expect(next).toBe(id);
    expect(counts[id]).toBe(1);
    expect(counts.reduce((a, b) => a + b)).toBe(1);
  });

  it('does nothing in a stalled step', async () => {
    const state = { tokenCount: 5, position: 40, step: 2, stalled: 3 };
    const { id, next, counts, state: after } = await sampler({ logits, state, temperature: 0 });
    expect(after).toMatchObject(state);
    expect([id, next, counts.reduce((a, b) => a + b)]).toEqual([0, 7, 0]);
  });

  it('repeats the sequence with the same seed and not with another', async () => {
    const sequence = async (seed: number) => [
      ...(await sampler({ logits, temperature: 1.2, seed, repeats: 40 })).counts,
    ];
    const [first, again, other, high] = [
      await sequence(5),
      await sequence(5),
      await sequence(6),
      await sequence(5 + 2 ** 32),
    ];
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
    expect(high).not.toEqual(first);
  });
});

describe('sample, distribution', () => {
  const DRAWS = 3000;
  const logits = randomNormal(seededRandom(12), 40, 1.5);
  const cases: SamplingOptions[] = [
    { temperature: 1 },
    { temperature: 0.6 },
    { temperature: 1.7, topK: 12 },
    { temperature: 1, topP: 0.8 },
    { temperature: 1.2, minP: 0.1 },
    { temperature: 1, topK: 30, topP: 0.9, minP: 0.02 },
  ];
  let drawn: Uint32Array[];

  beforeAll(async () => {
    drawn = [];
    for (const options of cases)
      drawn.push((await sampler({ logits, ...options, seed: 100 + drawn.length, repeats: DRAWS })).counts);
  });

  /** Chi-square divided by its degrees of freedom. Candidates that are expected less than 5 times are merged. */
  function chiSquare(counts: Uint32Array, options: SamplingOptions): number {
    const cells: { expected: number; observed: number }[] = [];
    const rest = { expected: 0, observed: 0 };
    for (const { id, probability } of candidates(logits, options)) {
      const cell = { expected: probability * DRAWS, observed: counts[id] };
      if (cell.expected >= 5) cells.push(cell);
      else {
        rest.expected += cell.expected;
        rest.observed += cell.observed;
      }
    }
    if (rest.expected > 0) cells.push(rest);
    const sum = cells.reduce((total, { expected, observed }) => total + (observed - expected) ** 2 / expected, 0);
    return sum / (cells.length - 1);
  }

  it.each(cases.map((options, i) => ({ i, options })))(
    'draws with the expected probabilities: $options',
    ({ i, options }) => {
      const kept = new Set(candidates(logits, options).map(({ id }) => id));
      expect([...drawn[i].keys()].filter((id) => drawn[i][id] > 0 && !kept.has(id))).toEqual([]);
      expect(drawn[i].reduce((a, b) => a + b)).toBe(DRAWS);
      // Over 300 seeds, two cases had means of 1.00 and 1.01 and 90th percentiles of 1.6. The seeds here are fixed.
      expect(chiSquare(drawn[i], options)).toBeLessThan(2);
    },
  );

  it('detects a wrong temperature and a wrong cut', () => {
    expect(chiSquare(drawn[0], { temperature: 1.25 })).toBeGreaterThan(3);
    expect(chiSquare(drawn[1], { temperature: 0.75 })).toBeGreaterThan(3);
    expect(chiSquare(drawn[2], { temperature: 1.7, topK: 14 })).toBeGreaterThan(3);
  });
});
