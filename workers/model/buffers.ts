/** The activations of one step (a batch of up to `maxTokens` tokens), allocated once for a model. */
import type { ModelConfig } from '../../src/contract/engine-api.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import { INPUT_ALIGNMENT_WEIGHTS } from '../../src/contract/weight-layout.ts';
import { type Slice, whole } from '../gpu/dispatch.ts';
import { attentionScratchBytes } from '../gpu/ops/attention.ts';
import { GROUPS_HEADER_BYTES, type Rows } from '../gpu/ops/context.ts';
import { SAMPLE_RESULT_BYTES, sampleParamsBytes, sampleScratchBytes } from '../gpu/ops/sample.ts';
import { STATE_BYTES } from '../gpu/step-state.ts';

export interface StepBuffers {
  /** Tokens that go through a kernel together. */
  maxTokens: number;
  /** Tokens that go through a layer together, in chunks of `maxTokens`: rows of what must outlast a chunk. */
  maxPrompt: number;
  state: Slice;
  /** u32[maxTokens] */
  tokens: Slice;
  /** f32[maxPrompt, embeddingLength] */
  residual: Rows;
  /** f32[maxTokens, embeddingLength] */
  normed: Rows;
  /** f32[maxTokens, headCount * headDim] */
  q: Rows;
  /** f32[maxTokens, kvHeadCount * headDim] */
  k: Rows;
  v: Rows;
  /** f32[maxTokens, headCount * headDim] */
  attended: Rows;
  attentionScratch: Slice;
  /** f32[maxTokens, expertCount] */
  routerLogits: Rows;
  /** f32[maxPrompt, expertsPerToken] */
  routingWeights: Slice;
  /** u32[maxPrompt, expertsPerToken], in prefill. */
  selected: Slice;
  /** u32[layerCount, TRACE_STRIDE / 4], in decode: the chosen experts of every layer. */
  trace: Slice;
  /** The same, as guessed one layer earlier. */
  predictions: Slice;
  /** What a guess needs beside the token's own: its norm, logits and weights, which nobody reads. */
  ahead: { normed: Rows; routerLogits: Rows; routingWeights: Slice };
  groups: Slice;
  /** f32[maxTokens * expertsPerToken, feedForwardLength] */
  activations: Rows;
  /** f32[maxPrompt * expertsPerToken, embeddingLength] */
  expertOut: Rows;
  /** f32[1, embeddingLength]: the last token's residual, input of the output head. */
  headResidual: Rows;
  headNormed: Rows;
  /** f32[1, vocabularySize] */
  logits: Rows;
  sampleParams: Slice;
  /** u32[vocabularySize]: occurrences, for the penalties. */
  sampleCounts: Slice;
  /** f32[vocabularySize] */
  sampleBias: Slice;
  sampleScratch: Slice;
  sampleResult: Slice;
  bytes: Bytes;
  destroy(): void;
}

export interface StepShape {
  maxTokens: number;
  maxPrompt: number;
  /** Positions of the KV cache, which the attention's scratch memory depends on. */
  context: number;
}

/** Bytes from one layer's choices to the next in `trace`: WebGPU's binding alignment. */
export const TRACE_STRIDE: Bytes = 256;

const strideOf = (width: number): number => Math.ceil(width / INPUT_ALIGNMENT_WEIGHTS) * INPUT_ALIGNMENT_WEIGHTS;

type Spec = Record<string, { rows: number; width: number } | { bytes: Bytes }>;

/** Sizes of all buffers, in one place, so that they can be counted before they are allocated. */
function specs(config: ModelConfig, { maxTokens, maxPrompt, context }: StepShape) {
  const { embeddingLength, headCount, kvHeadCount, headDim, expertsPerToken, vocabularySize } = config;
  const choices = maxTokens * expertsPerToken;
  const promptChoices = maxPrompt * expertsPerToken;
  return {
    state: { bytes: STATE_BYTES },
    tokens: { bytes: maxTokens * 4 },
    residual: { rows: maxPrompt, width: embeddingLength },
    normed: { rows: maxTokens, width: embeddingLength },
    q: { rows: maxTokens, width: headCount * headDim },
    k: { rows: maxTokens, width: kvHeadCount * headDim },
    v: { rows: maxTokens, width: kvHeadCount * headDim },
    attended: { rows: maxTokens, width: headCount * headDim },
    attentionScratch: { bytes: attentionScratchBytes({ headCount, headDim, capacity: context, maxTokens }) },
    routerLogits: { rows: maxTokens, width: config.expertCount },
    routingWeights: { bytes: promptChoices * 4 },
    selected: { bytes: promptChoices * 4 },
    trace: { bytes: config.layerCount * TRACE_STRIDE },
    predictions: { bytes: config.layerCount * TRACE_STRIDE },
    aheadNormed: { rows: 1, width: embeddingLength },
    aheadLogits: { rows: 1, width: config.expertCount },
    aheadWeights: { bytes: expertsPerToken * 4 },
    groups: { bytes: GROUPS_HEADER_BYTES + choices * 4 },
    activations: { rows: choices, width: config.feedForwardLength },
    expertOut: { rows: promptChoices, width: embeddingLength },
    headResidual: { rows: 1, width: embeddingLength },
    headNormed: { rows: 1, width: embeddingLength },
    logits: { rows: 1, width: vocabularySize },
    sampleParams: { bytes: sampleParamsBytes(vocabularySize) },
    sampleCounts: { bytes: vocabularySize * 4 },
    sampleBias: { bytes: vocabularySize * 4 },
    sampleScratch: { bytes: sampleScratchBytes(vocabularySize) },
    sampleResult: { bytes: SAMPLE_RESULT_BYTES },
  } satisfies Spec;
}

const bytesOf = (spec: Spec[string]): Bytes => ('bytes' in spec ? spec.bytes : spec.rows * strideOf(spec.width) * 4);

/** GPU bytes that {@link createStepBuffers} will take. */
export function stepBufferBytes(config: ModelConfig, shape: StepShape): Bytes {
  return Object.values(specs(config, shape)).reduce((sum, spec) => sum + bytesOf(spec), 0);
}

/** GPU bytes that each further token of `maxPrompt` takes: 48 KB in Mixtral. */
export function promptRowBytes(config: ModelConfig, shape: StepShape): Bytes {
  return stepBufferBytes(config, { ...shape, maxPrompt: shape.maxPrompt + 1 }) - stepBufferBytes(config, shape);
}

export function createStepBuffers(device: GPUDevice, config: ModelConfig, shape: StepShape): StepBuffers {
  const buffers: GPUBuffer[] = [];
  const slices: Record<string, Slice | Rows> = {};
  for (const [label, spec] of Object.entries<Spec[string]>(specs(config, shape))) {
    const buffer = device.createBuffer({
      label,
      size: Math.max(16, bytesOf(spec)),
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
    buffers.push(buffer);
    slices[label] = 'bytes' in spec ? whole(buffer) : { slice: whole(buffer), stride: strideOf(spec.width) };
  }
  const { aheadNormed, aheadLogits, aheadWeights, ...rest } = slices;
  return {
    ...(rest as unknown as Omit<StepBuffers, keyof StepShape | 'ahead' | 'bytes' | 'destroy'>),
    ahead: { normed: aheadNormed as Rows, routerLogits: aheadLogits as Rows, routingWeights: aheadWeights as Slice },
    maxTokens: shape.maxTokens,
    maxPrompt: shape.maxPrompt,
    bytes: buffers.reduce((sum, buffer) => sum + buffer.size, 0),
    destroy: () => {
      for (const buffer of buffers) buffer.destroy();
    },
  };
}

/** One layer's region of the trace. */
export function traceOf({ trace }: StepBuffers, layer: number, expertsPerToken: number): Slice {
  return { buffer: trace.buffer, offset: layer * TRACE_STRIDE, size: expertsPerToken * 4 };
}

/** One layer's region of the predictions. */
export function predictionOf({ predictions }: StepBuffers, layer: number, expertsPerToken: number): Slice {
  return { buffer: predictions.buffer, offset: layer * TRACE_STRIDE, size: expertsPerToken * 4 };
}

/** The buffers as tokens `first .. first + count - 1` of a prompt see them; `first` is a multiple of `maxTokens`. */
export function chunkOf(buffers: StepBuffers, first: number, count: number, expertsPerToken: number): StepBuffers {
  const choices = expertsPerToken * count;
  const rows = ({ slice, stride }: Rows, from: number, length: number): Rows => ({
    slice: { buffer: slice.buffer, offset: from * stride * 4, size: length * stride * 4 },
    stride,
  });
  const words = ({ buffer }: Slice): Slice => ({ buffer, offset: first * expertsPerToken * 4, size: choices * 4 });
  return {
    ...buffers,
    residual: rows(buffers.residual, first, count),
    expertOut: rows(buffers.expertOut, first * expertsPerToken, choices),
    routingWeights: words(buffers.routingWeights),
    selected: words(buffers.selected),
  };
}
