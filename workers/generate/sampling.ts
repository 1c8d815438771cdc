/** What the sampler starts an answer with. Pure, except for a random seed. */
import type { GenerateRequest, SamplingOptions } from '../../src/contract/engine-api.ts';
import type { TokenId } from '../../src/contract/ids.ts';
import type { SamplerStart } from '../compute/compute.ts';

/** How many tokens at the end of the prompt the penalties count as seen: llama.cpp's default. */
const PENALTY_PROMPT_TOKENS = 64;

/**
 * Parameters, token counts and biases of the sampler.
 * @param answerTokens those of a resumed answer that were sampled before
 * @param allowed one bit per token, lowest bit first: those that may be sampled first; undefined: all
 */
export function samplerStart(
  { sampling = {}, topLogprobs = 0 }: GenerateRequest,
  promptTokens: readonly TokenId[],
  answerTokens: readonly TokenId[],
  vocabularySize: number,
  allowed: Uint32Array | undefined,
): SamplerStart {
  const counts = new Uint32Array(vocabularySize);
  for (const id of [...promptTokens.slice(-PENALTY_PROMPT_TOKENS), ...answerTokens]) counts[id]++;
  const bias = new Float32Array(vocabularySize);
  for (const [id, value] of Object.entries(sampling.logitBias ?? {})) bias[Number(id)] = value;
  const step = answerTokens.length;
  return { options: sampling, seed: seedOf(sampling), step, topCount: topLogprobs, counts, bias, allowed };
}

/**
 * An integer of up to 64 bits; random without a seed or with -1. Other negative seeds count from 2^53, and larger ones
 * from 2^64.
 */
export function seedOf({ seed = -1 }: SamplingOptions): number {
  if (seed === -1) return Math.floor(Math.random() * 2 ** 32);
  return seed < 0 ? (2 ** 53 + (seed % 2 ** 53)) % 2 ** 53 : seed % 2 ** 64;
}
