import { describe, expect, it } from 'vitest';
import type { SamplingOptions } from '../../../src/contract/engine-api.ts';
import { adjustLogits, candidates, draw, logProbabilities, ranking, uniformOf } from '../../reference/sample.ts';
import { KernelModule } from './kernels-module.ts';
import { CpuSampler } from './sampler.ts';
import { compiledKernels } from './testing.ts';
import { threefry2x32 } from './threefry.ts';

const compiled = compiledKernels();
const VOCABULARY = 1000;

/** Logits that look like a model's: a few likely tokens, many unlikely ones. */
const someLogits = (seed: number, count = VOCABULARY): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => -3 * Math.log(1e-4 + threefry2x32([seed, 1], [i, 0])[0] / 2 ** 32));

interface Start {
  seed?: number;
  topCount?: number;
  counts?: number[];
  allowed?: Uint32Array;
  vocabulary?: number;
}

/** A sampler that has been started, and that takes the logits of each token. */
function sampler(options: SamplingOptions, start: Start = {}) {
  const { seed = 7, topCount = 0, counts = [], allowed, vocabulary = VOCABULARY } = start;
  const result = new CpuSampler(KernelModule.instantiate(compiled), vocabulary);
  const bias = new Float32Array(vocabulary);
  for (const [id, value] of Object.entries(options.logitBias ?? {})) bias[Number(id)] = value;
  const allCounts = new Uint32Array(vocabulary);
  allCounts.set(counts);
  result.start({ options, seed, step: 0, topCount, counts: allCounts, bias, allowed });
  return {
    sample(logits: Float32Array) {
      result.logits.set(logits);
      return result.sample();
    },
    setAllowed: (bits: Uint32Array) => result.setAllowed(bits),
  };
}

describe('CpuSampler', () => {
  it.each<[string, SamplingOptions]>([
    ['temperature 1', {}],
    ['temperature 0.7', { temperature: 0.7 }],
    ['top-k', { topK: 5 }],
    ['top-p', { topP: 0.6 }],
    ['min-p', { minP: 0.2 }],
    [
      'everything',
      { temperature: 1.3, topK: 40, topP: 0.9, minP: 0.05, repetitionPenalty: 1.2, frequencyPenalty: 0.1 },
    ],
    ['bias and presence penalty', { temperature: 0.8, presencePenalty: 1, logitBias: { 3: 8, 17: -100 } }],
    ['top-k 1', { topK: 1 }],
    ['top-p 0', { topP: 0 }],
  ])('draws the same tokens as the reference with %s', (_name, options) => {
    const seed = 2 ** 40 + 99;
    const counts = new Array<number>(VOCABULARY).fill(0);
    counts[5] = 2;
    const subject = sampler(options, { seed, counts });
    for (let step = 0; step < 60; step++) {
      const logits = someLogits(step);
      const adjusted = adjustLogits(logits, options, counts);
      const expected = draw(candidates(adjusted, options), uniformOf(seed, step));
      expect(subject.sample(logits).id).toBe(expected);
      counts[expected]++;
    }
  });

  it('takes the likeliest token at temperature 0, and of equal ones the lowest', () => {
    const logits = someLogits(1);
    expect(sampler({ temperature: 0 }).sample(logits).id).toBe(ranking(logits)[0]);
    const equal = new Float32Array(VOCABULARY).fill(1);
    expect(sampler({ temperature: 0 }).sample(equal).id).toBe(0);
  });

  it('reports log-probabilities before bias and penalties, likeliest first', () => {
    const logits = someLogits(2);
    const expected = logProbabilities(logits);
    const order = ranking(logits);
    const result = sampler({ temperature: 0, logitBias: { 30: 1000 } }, { topCount: 20 }).sample(logits);
    expect(result.id).toBe(30);
    expect(result.logprob).toBeCloseTo(expected[30], 5);
    expect(result.top.map(({ id }) => id)).toEqual(order.slice(0, 20));
    for (const { id, logprob } of result.top) expect(logprob).toBeCloseTo(expected[id], 5);
  });

  it('samples allowed tokens only, whatever their logits are', () => {
    const logits = someLogits(3).fill(50, 0, 10);
    logits[900] = Number.NEGATIVE_INFINITY;
    const allowed = new Uint32Array(Math.ceil(VOCABULARY / 32));
    allowed[900 >> 5] |= 1 << (900 & 31);
    expect(sampler({}, { allowed }).sample(logits).id).toBe(900);
    const greedy = sampler({ temperature: 0 });
    greedy.setAllowed(allowed);
    expect(greedy.sample(logits).id).toBe(900);
  });

  it('survives NaN and infinities', () => {
    const logits = someLogits(4);
    logits.set([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
    const result = sampler({ temperature: 0 }, { topCount: 3 }).sample(logits);
    expect(result.id).toBe(1);
    expect(Number.isFinite(result.logprob)).toBe(true);
    expect(sampler({}).sample(logits).id).toBe(1);
  });

  describe.each([301, 4096, 32000])('with %i tokens', (vocabulary) => {
    const different = someLogits(11, vocabulary).map((x) => x / 3);
    // Few different values, so that every cut falls among equal logits.
    const tied = different.map((x) => Math.round(x * 2) / 2);

    it.each<SamplingOptions>([
      { topK: 60, topP: 0.97, temperature: 1.3 },
      { topK: 40 },
      { topP: 0.8 },
      { minP: 0.1, temperature: 2 },
      { topK: 200, topP: 0.95, minP: 0.05, temperature: 0.5 },
    ])('draws the token that belongs to its random number, of equal logits, too: %o', (options) => {
      for (const logits of [different, tied]) {
        const from = candidates(logits, options);
        const subject = sampler(options, { seed: 99, vocabulary });
        const drawn = Array.from({ length: 40 }, () => subject.sample(logits).id);
        expect(drawn).toEqual(drawn.map((_, step) => draw(from, uniformOf(99, step))));
        expect(new Set(drawn).size).toBeGreaterThan(2);
      }
    });

    it('draws allowed tokens only, where the likeliest are not allowed', () => {
      for (const logits of [different, tied]) {
        const best = new Set(ranking(logits).slice(0, 10));
        const isAllowed = (id: number): boolean => !best.has(id) && id % 3 !== 1;
        const allowed = new Uint32Array(Math.ceil(vocabulary / 32));
        for (let id = 0; id < vocabulary; id++) if (isAllowed(id)) allowed[id >> 5] |= 1 << (id & 31);
        const options = { topK: 60, topP: 0.97, minP: 0.01, temperature: 1.3 };
        const adjusted = adjustLogits(logits, {}, new Uint32Array(vocabulary), isAllowed);
        const from = candidates(adjusted, options);
        const subject = sampler(options, { seed: 77, vocabulary, allowed, topCount: 5 });
        for (let step = 0; step < 10; step++) {
          const { id, top } = subject.sample(logits);
          expect(id).toBe(draw(from, uniformOf(77, step)));
          expect(top.map((token) => token.id)).toEqual(ranking(logits).slice(0, 5));
        }
        expect(sampler({ temperature: 0 }, { vocabulary, allowed }).sample(logits).id).toBe(ranking(adjusted)[0]);
      }
    });

    it('takes the last token if it is the likeliest', () => {
      const last = new Float32Array(vocabulary).fill(-5);
      last[vocabulary - 1] = -4;
      expect(sampler({ temperature: 0 }, { vocabulary }).sample(last).id).toBe(vocabulary - 1);
      expect(sampler({ topK: 1 }, { vocabulary }).sample(last).id).toBe(vocabulary - 1);
    });
  });

  it.each<SamplingOptions>([{ temperature: 1 }, { temperature: 1.7, topK: 12 }, { temperature: 1.2, minP: 0.1 }])(
    'draws with the expected probabilities: %o',
    (options) => {
      const draws = 3000;
      const logits = someLogits(6, 40).map((x) => x / 3);
      const subject = sampler(options, { seed: 100, vocabulary: 40 });
      const counts = new Uint32Array(40);
      for (let i = 0; i < draws; i++) counts[subject.sample(logits).id]++;
      const cells = candidates(logits, options).filter(({ probability }) => probability * draws >= 5);
      const terms = cells.map(({ id, probability: p }) => (counts[id] - p * draws) ** 2 / (p * draws));
      expect(cells.length).toBeGreaterThan(3);
      // Chi-square divided by its degrees of freedom. The seed is fixed.
      expect(terms.reduce((a, b) => a + b) / (cells.length - 1)).toBeLessThan(2);
    },
  );

  it('draws the same tokens again after a restart with the same seed', () => {
    const run = (seed: number): number[] => {
      const subject = sampler({}, { seed });
      return Array.from({ length: 20 }, () => subject.sample(someLogits(5)).id);
    };
    expect(run(3)).toEqual(run(3));
    expect(run(3)).not.toEqual(run(4));
  });
});
