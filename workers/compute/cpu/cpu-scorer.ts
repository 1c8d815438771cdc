/** Log-probabilities of the tokens of a text. */
import type { TokenId } from '../../../src/contract/ids.ts';
import type { Scorer, ScoreWindow } from '../compute.ts';
import { logSumOf } from '../log-sum.ts';
import { CHUNK_TOKENS, type CpuModel } from './cpu-model.ts';
import { decodeToken } from './decode.ts';
import { prefill } from './prefill.ts';

export class CpuScorer implements Scorer {
  constructor(private readonly model: CpuModel) {}

  async prefill({ tokens, signal, onSelectedExperts }: ScoreWindow): Promise<number[]> {
    const { forward, config } = this.model;
    const { embeddingLength: width, vocabularySize } = config;
    const residual = await prefill({
      model: this.model,
      tokens,
      position: 0,
      signal,
      onSelectedExperts,
      onProgress: () => {},
    });
    const logprobs: number[] = [];
    for (let first = 0; first + 1 < tokens.length; first += CHUNK_TOKENS) {
      const end = Math.min(first + CHUNK_TOKENS, tokens.length - 1); // the last token has no successor
      const logits = await forward.logits(residual.subarray(first * width, end * width), true);
      for (let t = first; t < end; t++) {
        const own = logits.subarray((t - first) * vocabularySize, (t - first + 1) * vocabularySize);
        logprobs.push(logprobOf(own, tokens[t + 1]));
      }
    }
    return logprobs;
  }

  async decode({ tokens, signal, onSelectedExperts }: ScoreWindow): Promise<number[]> {
    const logprobs: number[] = [];
    for (const [position, token] of tokens.entries()) {
      const residual = await decodeToken({ model: this.model, signal, onSelectedExperts }, token, position);
      if (position + 1 === tokens.length) break;
      logprobs.push(logprobOf(await this.model.forward.logits(residual, false), tokens[position + 1]));
    }
    return logprobs;
  }

  /** Nothing to do: scoring uses the buffers of the model. */
  destroy(): void {}
}

/** `log softmax(logits)[token]` */
export const logprobOf = (logits: Float32Array, token: TokenId): number => logits[token] - logSumOf(logits);
