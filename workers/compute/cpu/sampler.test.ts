import { describe, expect, it } from 'vitest';
import type { SamplingOptions } from '../../../src/contract/engine-api.ts';
import { adjustLogits, candidates, draw, logProbabilities, ranking, uniformOf } from '../../reference/sample.ts';
import { CpuSampler } from './sampler.ts';
import { threefry2x32 } from './threefry.ts';

const VOCABULARY = 1000;

/** Logits that look like a model's: a few likely tokens, many unlikely ones. */
const someLogits = (seed: number, count = VOCABULARY): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => -3 * Math.log(1e-4 + threefry2x32([seed, 1], [i, 0])[0] / 2 ** 32));

interface Start {
  seed?: number;
  topCount?: number;
  counts?: number[];
  allowed?: Uint32Array;
}

function sampler(options: SamplingOptions, { seed = 7, topCount = 0, counts = [], allowed }: Start = {}): CpuSampler {
  const result = new CpuSampler();
  const bias = new Float32Array(VOCABULARY);
  for (const [id, value] of Object.entries(options.logitBias ?? {})) bias[Number(id)] = value;
  const allCounts = new Uint32Array(VOCABULARY);
  allCounts.set(counts);
  result.start({ options, seed, topCount, counts: allCounts, bias, allowed });
  return result;
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

  it('draws the same tokens again after a restart with the same seed', () => {
    const run = (seed: number): number[] => {
      const subject = sampler({}, { seed });
      return Array.from({ length: 20 }, () => subject.sample(someLogits(5)).id);
    };
    expect(run(3)).toEqual(run(3));
    expect(run(3)).not.toEqual(run(4));
  });
});
