/** Sampling as defined by the default chain of llama.cpp, by sorting, in float64. */
import type { SamplingOptions } from '../../src/contract/engine-api.ts';

/** `log softmax(logits)`, natural logarithm. */
export function logProbabilities(logits: ArrayLike<number>): Float64Array {
  const values = Float64Array.from(logits);
  const largest = values.reduce((a, b) => Math.max(a, b));
  const logSum = largest + Math.log(values.reduce((sum, x) => sum + Math.exp(x - largest), 0));
  return values.map((x) => x - logSum);
}

/** All token ids, likeliest first. Of equal logits the lower id comes first. */
export function ranking(logits: ArrayLike<number>): number[] {
  return Array.from({ length: logits.length }, (_, id) => id).sort((a, b) => logits[b] - logits[a] || a - b);
}

/** The logits after bias and penalties; -Infinity for tokens that are not `allowed`. */
export function adjustLogits(
  logits: ArrayLike<number>,
  { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0, logitBias = {} }: SamplingOptions,
  counts: ArrayLike<number>,
  allowed: (id: number) => boolean = () => true,
): Float64Array {
  return Float64Array.from(logits, (raw, id) => {
    if (!allowed(id)) return Number.NEGATIVE_INFINITY;
    let logit = raw + (logitBias[id] ?? 0);
    if (counts[id] > 0) {
      logit = logit <= 0 ? logit * repetitionPenalty : logit / repetitionPenalty;
      logit -= counts[id] * frequencyPenalty + presencePenalty;
    }
    return logit;
  });
}

export interface Candidate {
  id: number;
  /** The probability of being drawn. */
  probability: number;
}

/** The tokens that remain after top-k, top-p and min-p, likeliest first. Tokens with -Infinity are never candidates. */
export function candidates(adjusted: ArrayLike<number>, options: SamplingOptions): Candidate[] {
  const { temperature = 1, topK = 0, topP = 1, minP = 0 } = options;
  const order = ranking(adjusted).filter((id) => adjusted[id] !== Number.NEGATIVE_INFINITY);
  let kept = topK > 0 ? order.slice(0, topK) : order;
  if (topP < 1) {
    const weights = softmax(kept, adjusted, 1);
    let sum = 0;
    const last = weights.findIndex((weight) => {
      sum += weight;
      return sum >= topP;
    });
    if (last >= 0) kept = kept.slice(0, last + 1);
  }
  if (minP > 0) kept = kept.filter((id) => adjusted[id] >= adjusted[order[0]] + Math.log(minP));
  if (temperature === 0) kept = kept.slice(0, 1);
  const probabilities = softmax(kept, adjusted, temperature || 1);
  return kept.map((id, i) => ({ id, probability: probabilities[i] }));
}

function softmax(ids: readonly number[], logits: ArrayLike<number>, temperature: number): number[] {
  const exponentials = ids.map((id) => Math.exp((logits[id] - logits[ids[0]]) / temperature));
  const sum = exponentials.reduce((a, b) => a + b);
  return exponentials.map((e) => e / sum);
}

/**
 * Draws a token id: that of the first candidate at which the cumulative probability reaches `uniform`, a
 * number in (0, 1).
 */
export function draw(from: readonly Candidate[], uniform: number): number {
  let sum = 0;
  return (
    from.find(({ probability }) => {
      sum += probability;
      return sum >= uniform;
    }) ?? from[from.length - 1]
  ).id;
}

/** The sampler's random number in (0, 1) for a step: the middle of one of 2^24 equal intervals. */
export function uniformOf(seed: number, step: number): number {
  const [bits] = threefry2x32([seed % 2 ** 32, Math.floor(seed / 2 ** 32)], [step, 0]);
  return ((bits >>> 8) + 0.5) / 2 ** 24;
}

/** Threefry-2x32 with 20 rounds, of Salmon et al. (2011). Returns 64 random bits for a key and a counter. */
export function threefry2x32(key: readonly [number, number], counter: readonly [number, number]): [number, number] {
  const rotations = [
    [13, 15, 26, 6],
    [17, 29, 16, 24],
  ];
  const schedule = [key[0], key[1], (0x1bd11bda ^ key[0] ^ key[1]) >>> 0];
  let a = (counter[0] + schedule[0]) >>> 0;
  let b = (counter[1] + schedule[1]) >>> 0;
  for (let group = 0; group < 5; group++) {
    for (const by of rotations[group % 2]) {
      a = (a + b) >>> 0;
      b = (((b << by) | (b >>> (32 - by))) ^ a) >>> 0;
    }
    a = (a + schedule[(group + 1) % 3]) >>> 0;
    b = (b + schedule[(group + 2) % 3] + group + 1) >>> 0;
  }
  return [a, b];
}
