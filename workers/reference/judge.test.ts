/** Tests the judge with answers of a model computed by hand, right and wrong ones. */
import { describe, expect, it } from 'vitest';
import { greedyTokens, judge, perplexity, type ReferenceToken } from './judge.ts';
import { HAND_MADE, HAND_MADE_LOGITS } from './testing.ts';

const logSum = (logits: readonly number[]): number => Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0));
/** The log-probability of token `id` at a step of the answer to A. */
const logprob = (step: number, id: number): number => HAND_MADE_LOGITS[step][id] - logSum(HAND_MADE_LOGITS[step]);

/** The right answer to A: B is the likeliest token (logits 1, 3, 0), then A (2.5, -1.9, 0). */
const RIGHT: ReferenceToken[] = [
  { id: 1, logprob: logprob(0, 1), top: [1, 0].map((id) => ({ id, logprob: logprob(0, id) })) },
  { id: 0, logprob: logprob(1, 0), top: [0, 2].map((id) => ({ id, logprob: logprob(1, id) })) },
];
/** The right answer with changes to one step. */
const changed = (step: number, more: Partial<ReferenceToken>): ReferenceToken[] =>
  RIGHT.map((token, i) => (i === step ? { ...token, ...more } : token));

describe('judge', () => {
  it('finds nothing wrong with the right answer', () => {
    const { worst, worstChoice } = judge(HAND_MADE, [0], RIGHT);
    expect(worst).toBeLessThan(1e-6);
    expect(worstChoice).toBe(0);
  });
  it('reports how much less likely a wrong token is, and follows it', () => {
    const wrong = changed(0, { id: 2, logprob: logprob(0, 2) });
    const { worstChoice, worst } = judge(HAND_MADE, [0], wrong.slice(0, 1));
    expect(worstChoice).toBeCloseTo(3, 6);
    expect(worst).toBeLessThan(1e-6);
    // After A and C the distribution is another one than after A and B.
    expect(judge(HAND_MADE, [0], wrong).worst).toBeGreaterThan(0.1);
  });
  it('reports a wrong log-probability of a token, or of one of the likeliest', () => {
    expect(judge(HAND_MADE, [0], changed(1, { logprob: logprob(1, 0) + 0.01 })).worst).toBeCloseTo(0.01, 6);
    const [first, second] = RIGHT[1].top;
    const top = [first, { ...second, logprob: second.logprob - 0.02 }];
    expect(judge(HAND_MADE, [0], changed(1, { top })).worst).toBeCloseTo(0.02, 6);
    expect(judge(HAND_MADE, [0], changed(1, { logprob: Number.NaN })).worst).toBe(Number.POSITIVE_INFINITY);
  });
  it('reports a likely token that is missing by its distance to the last one in its stead', () => {
    // C instead of A as the second likeliest: logits 0 and 1.
    const top = [1, 2].map((id) => ({ id, logprob: logprob(0, id) }));
    expect(judge(HAND_MADE, [0], changed(0, { top })).worst).toBeCloseTo(1, 6);
  });
  it('takes a longer prompt', () => {
    expect(judge(HAND_MADE, [0, 1], RIGHT.slice(1)).worst).toBeLessThan(1e-6);
  });
});

describe('greedyTokens', () => {
  it('takes the likeliest token at each step, with its neighbours', () => {
    const tokens = greedyTokens(HAND_MADE, [0], { count: 2, top: 2 });
    expect(tokens.map(({ id }) => id)).toEqual([1, 0]);
    for (const [step, { top, logprob: own }] of tokens.entries()) {
      expect(top.map(({ id }) => id)).toEqual(RIGHT[step].top.map(({ id }) => id));
      expect(own).toBeCloseTo(RIGHT[step].logprob, 6);
      expect(top[1].logprob).toBeCloseTo(RIGHT[step].top[1].logprob, 6);
    }
  });
  it('ranks equally likely tokens by their ids', () => {
    const flat = { ...HAND_MADE, output: new Float32Array(6) };
    expect(greedyTokens(flat, [0], { count: 1, top: 3 })[0].top).toEqual(
      [0, 1, 2].map((id) => ({ id, logprob: expect.closeTo(-Math.log(3), 9) })),
    );
  });
});

describe('perplexity', () => {
  it('is the exponential of the mean negative log-likelihood of all tokens but the first', () => {
    const result = perplexity(HAND_MADE, [0, 1, 2]);
    const nll = -(logprob(0, 1) + logprob(1, 2)) / 2;
    expect(result.nll).toBeCloseTo(nll, 6);
    expect(result.perplexity).toBeCloseTo(Math.exp(nll), 5);
    // As numbers: logits (1, 3, 0) give log(1 + e^-2 + e^-3) = 0.1698460, and (2.529822, -1.897367, 0) give
    // 2.6174861 for token 2.
    expect(result.nll).toBeCloseTo((0.169846 + 2.6174861) / 2, 5);
  });
});
