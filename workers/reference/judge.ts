/** Judges answers by the forward pass in float64: how far are their log-probabilities off, are their tokens right? */
import { ReferencePass, type ReferencePassOptions } from './forward.ts';
import type { ReferenceModel } from './model.ts';

/** A greedy token, its log-probability, and those of the likeliest tokens, likeliest first. */
export interface ReferenceToken {
  id: number;
  logprob: number;
  top: { id: number; logprob: number }[];
}

export interface Verdict {
  /** The largest difference of a log-probability from float64. Infinite if one is NaN or missing. */
  worst: number;
  /** By how much a token of the answer is less likely than the likeliest one, at most; 0 if all are the likeliest. */
  worstChoice: number;
  /** See `ReferencePass.smallestRouterMargin`. */
  routerMargin: number;
}

/**
 * Compares a greedy answer with float64 along the answer's own tokens, so one near-tie does not spoil the rest. In each
 * step it compares the reported likeliest tokens, and the likeliest ones of float64. If one of the latter is not
 * reported, the last reported one counts in its stead: the two may swap if they are equally likely.
 * @param prompt at least one token
 */
export function judge(
  model: ReferenceModel,
  prompt: readonly number[],
  answer: readonly ReferenceToken[],
  options?: ReferencePassOptions,
): Verdict {
  const pass = new ReferencePass(model, options);
  for (const token of prompt.slice(0, -1)) pass.add(token);
  let previous = prompt[prompt.length - 1];
  let [worst, worstChoice] = [0, 0];
  for (const token of answer) {
    const expected = pass.next(previous);
    worst = Math.max(worst, deviation(token, expected));
    worstChoice = Math.max(worstChoice, expected.reduce((a, b) => Math.max(a, b)) - expected[token.id]);
    previous = token.id;
  }
  return { worst, worstChoice, routerMargin: pass.smallestRouterMargin };
}

function deviation({ id, logprob, top }: ReferenceToken, expected: Float64Array): number {
  const reported = new Map(top.map((entry) => [entry.id, entry.logprob]));
  const last = top[top.length - 1].logprob;
  const differences = [
    logprob - expected[id],
    ...top.map((entry) => entry.logprob - expected[entry.id]),
    ...likeliest(expected, top.length).map((likely) => (reported.get(likely) ?? last) - expected[likely]),
  ];
  return differences.reduce((worst, difference) => {
    const size = Math.abs(difference);
    return Number.isNaN(size) ? Number.POSITIVE_INFINITY : Math.max(worst, size);
  }, 0);
}

/** The ids of the `count` largest values, largest first. Of equal values the lower id comes first. */
function likeliest(values: Float64Array, count: number): number[] {
  const ids: number[] = [];
  for (let id = 0; id < values.length; id++) {
    if (ids.length === count && !(values[id] > values[ids[count - 1]])) continue;
    const rank = ids.findIndex((other) => values[id] > values[other]);
    ids.splice(rank < 0 ? ids.length : rank, 0, id);
    ids.length = Math.min(ids.length, count);
  }
  return ids;
}

/**
 * Continues a prompt of at least one token greedily. Of equally likely tokens the one with the lower id is taken.
 * @param top how many of the likeliest tokens are returned with each, at least one
 */
export function greedyTokens(
  model: ReferenceModel,
  prompt: readonly number[],
  { count, top, ...options }: { count: number; top: number } & ReferencePassOptions,
): ReferenceToken[] {
  const pass = new ReferencePass(model, options);
  for (const token of prompt.slice(0, -1)) pass.add(token);
  let previous = prompt[prompt.length - 1];
  return Array.from({ length: count }, () => {
    const logprobs = pass.next(previous);
    const ids = likeliest(logprobs, top);
    previous = ids[0];
    return { id: previous, logprob: logprobs[previous], top: ids.map((id) => ({ id, logprob: logprobs[id] })) };
  });
}

/**
 * How well a model predicts a text in one window.
 * @param tokens at least two; the first one, usually BOS, is given
 * @returns the mean negative log-likelihood of the other tokens, in nats, and `exp` of it
 */
export function perplexity(
  model: ReferenceModel,
  tokens: readonly number[],
  options?: ReferencePassOptions,
): { nll: number; perplexity: number } {
  const pass = new ReferencePass(model, options);
  let sum = 0;
  for (let t = 0; t + 1 < tokens.length; t++) sum -= pass.next(tokens[t])[tokens[t + 1]];
  const nll = sum / (tokens.length - 1);
  return { nll, perplexity: Math.exp(nll) };
}
