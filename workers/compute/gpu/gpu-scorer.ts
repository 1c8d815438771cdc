/** Computes the log-probabilities of a text's tokens, by prefill or by decoding. */
import { layerIndex, type TokenId } from '../../../src/contract/ids.ts';
import { INPUT_ALIGNMENT_WEIGHTS } from '../../format/weight-layout.ts';
import type { Scorer, ScoreWindow } from '../compute.ts';
import { Decoder } from './decode/decoder.ts';
import { type Dispatch, type Slice, whole } from './dispatch.ts';
import { withAllocations } from './errors.ts';
import type { GpuModel } from './gpu-model.ts';
import { logitsOf } from './model/forward.ts';
import type { Model } from './model/model.ts';
import type { Activations } from './ops/context.ts';
import { tokenLogprob } from './ops/token-logprob.ts';
import { encodePaced } from './pacing.ts';
import { prefill } from './prefill.ts';
import type { Readback } from './readback.ts';

/** Tokens whose logits are computed together: 4 MB with a vocabulary of 32000. */
const MAX_TOKENS = 32;

interface ScoreBuffers {
  /** f32[MAX_TOKENS, embeddingLength] */
  normed: Activations;
  /** f32[MAX_TOKENS, vocabularySize] */
  logits: Activations;
  /** u32[MAX_TOKENS]: the tokens whose probabilities are computed. */
  targets: Slice;
  /** f32[MAX_TOKENS] */
  logprobs: Slice;
  destroy(): void;
}

/** Allocates the GPU buffers for scoring, besides those of the model. */
function createScoreBuffers({ config, ctx }: Model): ScoreBuffers {
  const buffers: GPUBuffer[] = [];
  const slice = (label: string, size: number): Slice => {
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const buffer = ctx.pipelines.device.createBuffer({ label, size, usage });
    buffers.push(buffer);
    return whole(buffer);
  };
  const activations = (label: string, width: number): Activations => {
    const stride = Math.ceil(width / INPUT_ALIGNMENT_WEIGHTS) * INPUT_ALIGNMENT_WEIGHTS;
    return { slice: slice(label, MAX_TOKENS * stride * 4), stride };
  };
  return {
    normed: activations('score normed', config.embeddingLength),
    logits: activations('score logits', config.vocabularySize),
    targets: slice('score targets', MAX_TOKENS * 4),
    logprobs: slice('score logprobs', MAX_TOKENS * 4),
    destroy: () => {
      for (const buffer of buffers) buffer.destroy();
    },
  };
}

/** Scores windows of text with a model on the GPU. */
export class GpuScorer implements Scorer {
  /** Undefined until they are needed. */
  #buffers: ScoreBuffers | undefined;

  constructor(
    private readonly gpuModel: Pick<GpuModel, 'model' | 'experts'>,
    private readonly readback: Readback,
  ) {}

  /** @throws MixtabError `gpu-out-of-memory` if there is no memory for logits */
  async prefill({ tokens, signal, onSelectedExperts }: ScoreWindow): Promise<number[]> {
    const { model, experts } = this.gpuModel;
    const buffers = await this.#allocated();
    const k = model.config.expertsPerToken;
    const logprobs: number[] = [];
    await prefill({
      model,
      experts,
      readback: this.readback,
      tokens,
      position: 0,
      signal,
      onProgress: () => {},
      onSelectedExperts: (layer, selectedExperts) => {
        for (let t = 0; t < tokens.length; t++) {
          onSelectedExperts(t, layer, selectedExperts.subarray(t * k, (t + 1) * k));
        }
      },
      onResiduals: async (residual, start, length) => {
        for (let offset = 0; offset < length; offset += MAX_TOKENS) {
          const count = Math.min(MAX_TOKENS, length - offset);
          const targets = Uint32Array.from({ length: count }, (_, i) => targetOf(tokens, start + offset + i));
          logprobs.push(...(await this.#logprobsOf(buffers, rowsOf(residual, offset, count), targets)));
        }
      },
    });
    logprobs.pop(); // the last token has no target
    return logprobs;
  }

  /** @throws MixtabError `gpu-out-of-memory` if there is no memory for logits */
  async decode({ tokens, signal, onSelectedExperts }: ScoreWindow): Promise<number[]> {
    const { model, experts } = this.gpuModel;
    const buffers = await this.#allocated();
    const { queue } = model.ctx.pipelines.device;
    const head = {
      dispatches: (own: Model, residual: Activations) => logprobDispatches(own, buffers, residual, 1),
      result: buffers.logprobs,
    };
    const decoder = new Decoder({ model, experts, readback: this.readback, signal, head }, 0);
    const logprobs: number[] = [];
    for (const [t, token] of tokens.entries()) {
      queue.writeBuffer(buffers.targets.buffer, 0, Uint32Array.of(targetOf(tokens, t)));
      queue.writeBuffer(model.buffers.tokens.buffer, 0, Uint32Array.of(token));
      model.buffers.state.startBatch(1, t);
      const [logprob] = new Float32Array(await decoder.nextToken(0), 0, 1);
      if (t + 1 < tokens.length) logprobs.push(logprob);
      for (const [layer, selectedExperts] of (await decoder.trace()).entries()) {
        onSelectedExperts(t, layerIndex(layer), selectedExperts);
      }
    }
    return logprobs;
  }

  destroy(): void {
    this.#buffers?.destroy();
  }

  async #allocated(): Promise<ScoreBuffers> {
    const { model } = this.gpuModel;
    this.#buffers ??= await withAllocations(
      model.ctx.pipelines.device,
      () => createScoreBuffers(model),
      (buffers) => buffers.destroy(),
    );
    return this.#buffers;
  }

  /** @param residual f32[targets, embeddingLength], of the last layer */
  async #logprobsOf(
    buffers: ScoreBuffers,
    residual: Activations,
    targets: Uint32Array<ArrayBuffer>,
  ): Promise<Float32Array> {
    const { model } = this.gpuModel;
    const { device } = model.ctx.pipelines;
    device.queue.writeBuffer(buffers.targets.buffer, 0, targets);
    model.buffers.state.startBatch(targets.length, 0);
    const encoder = encodePaced(model.ctx, logprobDispatches(model, buffers, residual, targets.length));
    const [result] = await this.readback.submit(encoder, [buffers.logprobs]);
    return new Float32Array(result, 0, targets.length);
  }
}

/** The token after `index`. The last one has none, its log-probability is ignored. */
const targetOf = (tokens: readonly TokenId[], index: number): number => tokens[index + 1] ?? 0;

/** `logprobs[t] = logsoftmax(logits(residual[t]))[targets[t]]` */
function logprobDispatches(
  model: Model,
  { normed, logits, targets, logprobs }: ScoreBuffers,
  residual: Activations,
  maxTokens: number,
): Dispatch[] {
  const { vocabularySize } = model.config;
  return [
    ...logitsOf(model, { residual, normed, logits, maxTokens }),
    ...tokenLogprob(model.ctx, { logits, targets, vocabularySize, output: logprobs, maxTokens }),
  ];
}

/** `count` rows from row `start` on. */
const rowsOf = ({ slice, stride }: Activations, start: number, count: number): Activations => ({
  slice: { buffer: slice.buffer, offset: start * stride * 4, size: count * stride * 4 },
  stride,
});
