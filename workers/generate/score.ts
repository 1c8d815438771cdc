/**
 * How well the model predicts a text, in windows that do not overlap. Exact scoring takes a window through the layers
 * at once; with lossy options, which depend on what is resident, every token is decoded on its own.
 */
import type { ScoreRequest, ScoreResult } from '../../src/contract/engine-api.ts';
import { MixtabError } from '../../src/contract/errors.ts';
import type { TokenId } from '../../src/contract/ids.ts';
import { encodePass, type Slice, whole } from '../compute/gpu/dispatch.ts';
import type { Activations } from '../compute/gpu/ops/context.ts';
import { tokenLogprob } from '../compute/gpu/ops/token-logprob.ts';
import type { Readback } from '../compute/gpu/readback.ts';
import { INPUT_ALIGNMENT_WEIGHTS } from '../format/weight-layout.ts';
import { logitsOf } from '../model/forward.ts';
import { Decoder } from './decode.ts';
import type { GpuModel } from './loaded-model.ts';
import { prefill } from './prefill.ts';
import { setRouterOptions } from './router-options.ts';
import { routingOf } from './routing.ts';

/** Tokens whose logits are computed together: 4 MB with a vocabulary of 32000. */
const ROWS = 32;

export interface ScoreInputs {
  gpu: GpuModel;
  readback: Readback;
  /** The whole text, without BOS. */
  tokens: readonly TokenId[];
  /** Put before every window; absent where the model wants none. */
  bos?: TokenId;
  request: ScoreRequest;
  /** UTF-8 bytes of some tokens. */
  bytesOf: (tokens: readonly TokenId[]) => number;
  /** Text of each token of a window; a character's bytes may come together with its last token. */
  piecesOf: (tokens: readonly TokenId[]) => string[];
  onProgress: (tokensDone: number, tokensTotal: number) => void;
  stopped: () => boolean;
}

/** @throws MixtabError `bad-request`, `aborted` */
export async function score(inputs: ScoreInputs): Promise<ScoreResult> {
  const { gpu, tokens, request, onProgress, stopped, bos } = inputs;
  const { model, experts } = gpu;
  const { config } = model;
  const windows = windowsOf(inputs);
  const started = performance.now();
  experts.resetCounts();
  setRouterOptions(model, request);
  const buffers = createScoreBuffers(model.ctx.pipelines.device, config.embeddingLength, config.vocabularySize);
  const selectedExperts = new Uint8Array(
    windows.reduce((sum, { length }) => sum + length, 0) * config.layerCount * config.expertsPerToken,
  );
  const starts = new Set<number>();
  let first = 0;
  let nll = 0;
  let scored = 0;
  try {
    for (const window of windows) {
      if (stopped()) throw new MixtabError('aborted', 'Stopped.');
      starts.add(first);
      const logprobs = await (request.lossy ? decodeWindow : prefillWindow)(
        inputs,
        buffers,
        window,
        selectedExperts,
        first,
      );
      for (const logprob of logprobs) nll -= logprob;
      scored += logprobs.length;
      first += window.length;
      onProgress(Math.min(first, tokens.length), tokens.length);
    }
  } finally {
    buffers.destroy();
  }
  const bytes = inputs.bytesOf(windows.flatMap((window) => window.slice(1)));
  return {
    tokens: scored,
    nll: nll / scored,
    perplexity: Math.exp(nll / scored),
    bitsPerByte: nll / Math.LN2 / bytes,
    routing: routingOf({
      selectedExperts,
      layerCount: config.layerCount,
      expertsPerToken: config.expertsPerToken,
      expertCount: config.expertCount,
      starts,
    }),
    cache: experts.report(),
    ...(request.trace && {
      trace: { selectedExperts: selectedExperts, pieces: windows.flatMap((window) => piecesOf(inputs, window)) },
    }),
    seconds: (performance.now() - started) / 1000,
  };

  function windowsOf({ request: { context } }: ScoreInputs): TokenId[][] {
    if (!Number.isInteger(context) || context < 2 || context > gpu.context) {
      throw new MixtabError(
        'bad-request',
        `The window is ${context} tokens; it must be 2 to ${gpu.context}, what the loaded context allows.`,
      );
    }
    const lead = bos === undefined ? [] : [bos];
    const result: TokenId[][] = [];
    for (let at = 0; at < tokens.length; at += context - lead.length) {
      const window = [...lead, ...tokens.slice(at, at + context - lead.length)];
      if (window.length > 1) result.push(window);
    }
    if (result.length === 0)
      throw new MixtabError('bad-request', 'The text is empty.', 'Give a text of at least two tokens.');
    return result;
  }
}

function piecesOf(inputs: ScoreInputs, window: readonly TokenId[]): string[] {
  const lead = inputs.bos === undefined ? [] : [''];
  return [...lead, ...inputs.piecesOf(window.slice(lead.length))];
}

interface ScoreBuffers {
  normed: Activations;
  logits: Activations;
  /** u32[ROWS] */
  targets: Slice;
  /** f32[ROWS] */
  logprobs: Slice;
  destroy(): void;
}

function createScoreBuffers(device: GPUDevice, width: number, vocabularySize: number): ScoreBuffers {
  const buffers: GPUBuffer[] = [];
  const slice = (label: string, size: number): Slice => {
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const buffer = device.createBuffer({ label, size, usage });
    buffers.push(buffer);
    return whole(buffer);
  };
  const rows = (label: string, columns: number): Activations => {
    const stride = Math.ceil(columns / INPUT_ALIGNMENT_WEIGHTS) * INPUT_ALIGNMENT_WEIGHTS;
    return { slice: slice(label, ROWS * stride * 4), stride };
  };
  return {
    normed: rows('score normed', width),
    logits: rows('score logits', vocabularySize),
    targets: slice('score targets', ROWS * 4),
    logprobs: slice('score logprobs', ROWS * 4),
    destroy: () => {
      for (const buffer of buffers) buffer.destroy();
    },
  };
}

/** Log-probabilities of window[1..], all tokens through the layers together. */
async function prefillWindow(
  { gpu, readback, stopped }: ScoreInputs,
  buffers: ScoreBuffers,
  window: readonly TokenId[],
  selectedExperts: Uint8Array,
  first: number,
): Promise<number[]> {
  const { model, experts } = gpu;
  const { config, ctx } = model;
  const { device } = ctx.pipelines;
  const k = config.expertsPerToken;
  const logprobs: number[] = [];
  await prefill({
    model,
    experts,
    readback,
    tokens: window,
    position: 0,
    stopped,
    onProgress: () => {},
    onSelectedExperts: (layer, chosen) => {
      for (let t = 0; t < window.length; t++) {
        selectedExperts.set(chosen.subarray(t * k, (t + 1) * k), ((first + t) * config.layerCount + layer) * k);
      }
    },
    onResiduals: async ({ slice, stride }, from, length) => {
      for (let at = 0; at < length; at += ROWS) {
        const count = Math.min(ROWS, length - at);
        const residual = { slice: { buffer: slice.buffer, offset: at * stride * 4, size: count * stride * 4 }, stride };
        // The last token's target is not scored: there is none.
        const targets = Uint32Array.from({ length: count }, (_, i) => window[from + at + i + 1] ?? 0);
        device.queue.writeBuffer(buffers.targets.buffer, 0, targets);
        model.buffers.state.startBatch(count, 0);
        const encoder = encodePass(device, [
          ...logitsOf(model, { residual, normed: buffers.normed, logits: buffers.logits, maxTokens: count }),
          ...tokenLogprob(ctx, {
            ...buffers,
            vocabularySize: config.vocabularySize,
            output: buffers.logprobs,
            maxTokens: count,
          }),
        ]);
        const [result] = await readback.submit(encoder, [buffers.logprobs]);
        logprobs.push(...new Float32Array(result, 0, count));
      }
    },
  });
  logprobs.pop();
  return logprobs;
}

/** The same, each token decoded after the other. */
async function decodeWindow(
  { gpu, readback, stopped }: ScoreInputs,
  buffers: ScoreBuffers,
  window: readonly TokenId[],
  selectedExperts: Uint8Array,
  first: number,
): Promise<number[]> {
  const { model, experts } = gpu;
  const { config, ctx } = model;
  const { queue } = ctx.pipelines.device;
  const decoder = new Decoder(
    {
      model,
      experts,
      readback,
      stopped,
      head: {
        dispatches: (own, residual) => [
          ...logitsOf(own, { residual, normed: buffers.normed, logits: buffers.logits, maxTokens: 1 }),
          ...tokenLogprob(ctx, {
            ...buffers,
            vocabularySize: config.vocabularySize,
            output: buffers.logprobs,
            maxTokens: 1,
          }),
        ],
        result: buffers.logprobs,
      },
    },
    0,
  );
  const logprobs: number[] = [];
  for (const [t, token] of window.entries()) {
    // The last token's target is not scored: there is none.
    queue.writeBuffer(buffers.targets.buffer, 0, Uint32Array.of(window[t + 1] ?? 0));
    queue.writeBuffer(model.buffers.tokens.buffer, 0, Uint32Array.of(token));
    model.buffers.state.startBatch(1, t);
    const [logprob] = new Float32Array(await decoder.nextToken(0), 0, 1);
    if (t + 1 < window.length) logprobs.push(logprob);
    for (const [layer, chosen] of (await decoder.trace()).entries()) {
      selectedExperts.set(chosen, ((first + t) * config.layerCount + layer) * config.expertsPerToken);
    }
  }
  return logprobs;
}
