/**
 * Samples the next token, with the options in the order of llama.cpp's default chain: bias, penalties, top-k, top-p,
 * min-p, temperature. The same seed draws the same random numbers as on the GPU (shaders/sample.wgsl).
 */
import type { SamplingOptions } from '../../../src/contract/engine-api.ts';
import { tokenId } from '../../../src/contract/ids.ts';
import { MAX_TOP, type Sample, type SamplerStart } from '../compute.ts';
import { threefry2x32 } from './threefry.ts';

/** NaN and infinities become large finite numbers, which can be compared and subtracted. */
const LARGEST = 3e38;
/** The logit of a token that is not allowed: lower than that of any other. */
const EXCLUDED = -3.4e38;

const finite = (x: number): number => (Number.isNaN(x) ? -LARGEST : Math.max(-LARGEST, Math.min(LARGEST, x)));

export class CpuSampler {
  #start: SamplerStart | undefined;
  #allowed: Uint32Array | undefined;
  /** Tokens sampled so far in this answer. */
  #step = 0;

  start(start: SamplerStart): void {
    this.#start = { ...start, counts: start.counts.slice() };
    this.#allowed = start.allowed;
    this.#step = 0;
  }

  setAllowed(allowed: Uint32Array): void {
    this.#allowed = allowed;
  }

  /** @param logits f32[vocabularySize] */
  sample(logits: Float32Array): Sample {
    const start = this.#start!;
    const adjusted = this.#adjusted(logits, start);
    const id = start.options.temperature === 0 ? bestOf(adjusted) : this.#draw(adjusted, start);
    start.counts[id]++;
    this.#step++;
    const logprobOf = logprobsOf(logits);
    const topCount = Math.min(start.topCount, MAX_TOP);
    const top = topCount === 0 ? [] : ranking(logits.map(finite)).slice(0, topCount);
    return {
      id: tokenId(id),
      logprob: logprobOf(id),
      top: Array.from(top, (token) => ({ id: tokenId(token), logprob: logprobOf(token) })),
    };
  }

  #adjusted(logits: Float32Array, { options, counts, bias }: SamplerStart): Float32Array {
    const { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0 } = options;
    const adjusted = new Float32Array(logits.length);
    for (let id = 0; id < logits.length; id++) {
      let logit = finite(logits[id]) + bias[id];
      if (counts[id] > 0) {
        logit = logit <= 0 ? logit * repetitionPenalty : logit / repetitionPenalty;
        logit -= counts[id] * frequencyPenalty + presencePenalty;
      }
      const isAllowed = !this.#allowed || ((this.#allowed[id >>> 5] >>> (id & 31)) & 1) === 1;
      adjusted[id] = isAllowed ? finite(logit) : EXCLUDED;
    }
    return adjusted;
  }

  #draw(adjusted: Float32Array, { options, seed }: SamplerStart): number {
    const order = ranking(adjusted);
    const kept = order.subarray(0, keptCount(adjusted, order, options));
    const { temperature = 1 } = options;
    const weights = Array.from(kept, (id) => Math.exp((adjusted[id] - adjusted[kept[0]]) / temperature));
    const [bits] = threefry2x32([seed % 2 ** 32, Math.floor(seed / 2 ** 32)], [this.#step, 0]);
    // The middle of one of 2^24 equal intervals, so neither 0 nor 1.
    return kept[reaching(weights, ((bits >>> 8) + 0.5) / 2 ** 24)];
  }
}

/** How many of the likeliest tokens remain after top-k, top-p and min-p. */
function keptCount(adjusted: Float32Array, order: Uint32Array, options: SamplingOptions): number {
  const { topK = 0, topP = 1, minP = 0 } = options;
  let count = topK > 0 ? Math.min(topK, order.length) : order.length;
  const largest = adjusted[order[0]];
  if (topP < 1) {
    const weights = Array.from(order.subarray(0, count), (id) => Math.exp(adjusted[id] - largest));
    count = reaching(weights, Math.max(topP, 0)) + 1;
  }
  const lowest = minP > 0 ? largest + Math.log(Math.min(minP, 1)) : -LARGEST;
  while (count > 1 && adjusted[order[count - 1]] < lowest) count--;
  return count;
}

/** Index of the first weight at which the sum reaches this share of the total. */
function reaching(weights: readonly number[], share: number): number {
  const goal = share * weights.reduce((sum, weight) => sum + weight, 0);
  let sum = 0;
  const index = weights.findIndex((weight) => {
    sum += weight;
    return sum >= goal;
  });
  return index < 0 ? weights.length - 1 : index;
}

/** All token ids, likeliest first. Of equal logits the lower id comes first. */
const ranking = (logits: Float32Array): Uint32Array =>
  Uint32Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a] || a - b);

function bestOf(logits: Float32Array): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id] > logits[best]) best = id;
  return best;
}

/** `log softmax(logits)`, for any of the tokens. */
function logprobsOf(logits: Float32Array): (id: number) => number {
  let largest = -LARGEST;
  for (const logit of logits) largest = Math.max(largest, finite(logit));
  let sum = 0;
  for (const logit of logits) sum += Math.exp(finite(logit) - largest);
  return (id) => finite(logits[id]) - largest - Math.log(sum);
}
