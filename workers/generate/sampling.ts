/** What the sampler starts an answer with. Pure, except for a random seed. */
import type { GenerateRequest, SamplingOptions } from '../../src/contract/engine-api.ts';
import type { TokenId } from '../../src/contract/ids.ts';
import type { SamplerStart } from '../compute/compute.ts';

/** How many tokens at the end of the prompt the penalties count as seen: llama.cpp's default. */
const PENALTY_PROMPT_TOKENS = 64;

/**
 * Parameters, token counts and biases of the sampler.
 * @param allowed one bit per token, lowest bit first: those that may be sampled first; undefined: all
 */
export function samplerStart(
  { sampling = {}, topLogprobs = 0 }: GenerateRequest,
  promptTokens: readonly TokenId[],
  vocabularySize: number,
  allowed: Uint32Array | undefined,
): SamplerStart {
  const counts = new Uint32Array(vocabularySize);
  for (const id of promptTokens.slice(-PENALTY_PROMPT_TOKENS)) counts[id]++;
  const bias = new Float32Array(vocabularySize);
  for (const [id, value] of Object.entries(sampling.logitBias ?? {})) bias[Number(id)] = value;
  return { options: sampling, seed: seedOf(sampling), topCount: topLogprobs, counts, bias, allowed };
}

/** A u32; random if the request has no seed. */
const seedOf = ({ seed }: SamplingOptions): number => (seed ?? Math.floor(Math.random() * 2 ** 32)) >>> 0;
