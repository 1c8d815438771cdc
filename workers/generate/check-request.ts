/** Rejects requests for an answer that make no sense, before anything is computed. */
import type { GenerateRequest, SamplingOptions } from '../../src/contract/engine-api.ts';
import { MixtabError } from '../../src/contract/errors.ts';
import { MAX_TOP } from '../compute/compute.ts';

/**
 * Rejects a request for an answer that makes no sense, before anything is computed.
 * @param promptLength tokens of the prompt
 * @param context positions that the KV cache may hold
 * @throws MixtabError `bad-request`, `context-overflow`
 */
export function checkRequest(
  { maxTokens, topLogprobs = 0, format, ignoreEos, resume = [] }: GenerateRequest,
  promptLength: number,
  context: number,
  vocabularySize: number,
): void {
  if (!Number.isInteger(maxTokens) || maxTokens < 1) {
    throw new MixtabError('bad-request', `maxTokens is ${maxTokens}; it must be a whole number of at least 1.`);
  }
  if (!(topLogprobs >= 0 && topLogprobs <= MAX_TOP)) {
    throw new MixtabError('bad-request', `topLogprobs is ${topLogprobs}; it must be 0 to ${MAX_TOP}.`);
  }
  if (format && ignoreEos) {
    throw new MixtabError(
      'bad-request',
      'An answer with a format ends when it is complete, so it cannot ignore the end-of-sequence token.',
      'Leave out either format or ignoreEos.',
    );
  }
  if (resume.some(({ id }) => !(Number.isInteger(id) && id >= 0 && id < vocabularySize))) {
    throw new MixtabError('bad-request', 'A token to resume after is not one of this model.');
  }
  if (promptLength === 0) throw new MixtabError('bad-request', 'The prompt is empty.', 'Write something first.');
  if (promptLength >= context) {
    throw new MixtabError(
      'context-overflow',
      `The prompt takes ${promptLength} tokens; the context holds ${context}, and the answer needs room too.`,
      'Shorten the conversation, or raise the context in the settings.',
    );
  }
}

/**
 * Rejects sampling options that would have no effect or a wrong one.
 * @throws MixtabError `bad-request` that names the seed, or a token that the vocabulary does not have
 */
export function checkSampling({ seed = -1, logitBias = {} }: SamplingOptions = {}, vocabularySize: number): void {
  if (!Number.isInteger(seed)) {
    throw new MixtabError('bad-request', `seed is ${seed}; it must be a whole number.`);
  }
  const unknown = Object.keys(logitBias).find((id) => !/^\d+$/.test(id) || Number(id) >= vocabularySize);
  if (unknown !== undefined) {
    throw new MixtabError(
      'bad-request',
      `The logit bias names token ${unknown.slice(0, 100)}; the model's tokens are 0 to ${vocabularySize - 1}.`,
      'Leave that token out.',
    );
  }
}
