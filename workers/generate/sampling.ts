/** Sets up the sampler on the GPU for an answer. */
import type { GenerateRequest, SamplingOptions } from '../../src/contract/engine-api.ts';
import type { TokenId } from '../../src/contract/ids.ts';
import type { Model } from '../compute/gpu/model/model.ts';
import { writeSampleParams } from '../compute/gpu/ops/sample.ts';

/** How many tokens at the end of the prompt the penalties count as seen: llama.cpp's default. */
const PENALTY_PROMPT_TOKENS = 64;

/**
 * Writes parameters, token counts and biases of the sampler, and resets its random stream.
 * @param allowed one bit per token, lowest bit first: those that may be sampled first; undefined: all
 */
export function startSampling(
  { buffers, config, ctx }: Model,
  { sampling = {}, topLogprobs = 0 }: GenerateRequest,
  promptTokens: readonly TokenId[],
  allowed: Uint32Array | undefined,
): void {
  const { queue } = ctx.pipelines.device;
  const counts = new Uint32Array(config.vocabularySize);
  for (const id of promptTokens.slice(-PENALTY_PROMPT_TOKENS)) counts[id]++;
  const bias = new Float32Array(config.vocabularySize);
  for (const [id, value] of Object.entries(sampling.logitBias ?? {})) bias[Number(id)] = value;
  const params = writeSampleParams(sampling, seedOf(sampling), topLogprobs, allowed);
  queue.writeBuffer(buffers.sampleParams.buffer, 0, params);
  queue.writeBuffer(buffers.sampleCounts.buffer, 0, counts);
  queue.writeBuffer(buffers.sampleBias.buffer, 0, bias);
  buffers.state.restartSampling();
}

/** A u32; random if the request has no seed. */
const seedOf = ({ seed }: SamplingOptions): number => (seed ?? Math.floor(Math.random() * 2 ** 32)) >>> 0;
