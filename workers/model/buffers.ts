/** The activations of one step (a batch of up to `maxTokens` tokens), allocated once for a model. */

import type { Bytes } from '../../src/contract/ids.ts';
import type { ModelConfig } from '../../src/contract/import-api.ts';
import { type Slice, whole } from '../compute/gpu/dispatch.ts';
import { attentionScratchBytes } from '../compute/gpu/ops/attention.ts';
import { type Activations, GROUPS_HEADER_BYTES } from '../compute/gpu/ops/context.ts';
import { SAMPLE_RESULT_BYTES, sampleParamsBytes, sampleScratchBytes } from '../compute/gpu/ops/sample.ts';
import { STEP_STATE_BYTES, StepState } from '../compute/gpu/step-state.ts';
import { INPUT_ALIGNMENT_WEIGHTS } from '../format/weight-layout.ts';

interface TokenActivations {
  /** f32[tokens, embeddingLength] */
  residual: Activations;
  /** f32[tokens, expertsPerToken] */
  routingWeights: Slice;
  /** u32[tokens, expertsPerToken], in prefill. */
  selectedExperts: Slice;
}

/** What one of several chunks of a prompt keeps while the others compute. */
export interface ChunkActivations extends TokenActivations {
  /** f32[tokens, embeddingLength]: what the experts that ran so far add to the residual; zero between layers. */
  accumulator: Activations;
}

export interface StepBuffers extends TokenActivations {
  /** Tokens that go through a kernel together. */
  maxTokens: number;
  /** Absent where all experts' outputs can stay in their rows until the last one ran: in decode, and in prompts of one chunk. */
  accumulator?: Activations;
  state: StepState;
  /** u32[maxTokens] */
  tokens: Slice;
  /** f32[maxTokens, embeddingLength] */
  normed: Activations;
  /** f32[maxTokens, headCount * headDim] */
  q: Activations;
  /** f32[maxTokens, kvHeadCount * headDim] */
  k: Activations;
  v: Activations;
  /** f32[maxTokens, headCount * headDim] */
  attended: Activations;
  attentionScratch: Slice;
  /** f32[maxTokens, expertCount] */
  routerLogits: Activations;
  /** u32[layerCount, TRACE_STRIDE / 4], in decode: the chosen experts of every layer. */
  trace: Slice;
  /** The same, as guessed one or two layers earlier. */
  predictions: Slice;
  /** What a guess needs beside the token's own: its norm, logits and weights, which nobody reads. */
  predictionScratch: { normed: Activations; routerLogits: Activations; routingWeights: Slice };
  groups: Slice;
  /** f32[maxTokens * expertsPerToken, embeddingLength]: weighted outputs; zero but between expertDown and combine. */
  expertOut: Activations;
  /** f32[maxTokens * expertsPerToken, feedForwardLength] */
  activations: Activations;
  /** f32[1, embeddingLength]: the last token's residual, input of the output head. */
  headResidual: Activations;
  headNormed: Activations;
  /** f32[1, vocabularySize] */
  logits: Activations;
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
  /** Positions of the KV cache, which the attention's scratch memory depends on. */
  context: number;
}

/** Bytes from one layer's choices to the next in `trace`: WebGPU's binding alignment. */
export const TRACE_STRIDE: Bytes = 256;

const strideOf = (width: number): number => Math.ceil(width / INPUT_ALIGNMENT_WEIGHTS) * INPUT_ALIGNMENT_WEIGHTS;

type Specs = Record<string, { rows: number; width: number } | { bytes: Bytes }>;

function chunkSpecs({ embeddingLength, expertsPerToken }: ModelConfig, tokens: number) {
  return {
    residual: { rows: tokens, width: embeddingLength },
    accumulator: { rows: tokens, width: embeddingLength },
    routingWeights: { bytes: tokens * expertsPerToken * 4 },
    selectedExperts: { bytes: tokens * expertsPerToken * 4 },
  } satisfies Specs;
}

/** Sizes of all buffers, in one place, so that they can be counted before they are allocated. */
function specs(config: ModelConfig, { maxTokens, context }: StepShape) {
  const { embeddingLength, headCount, kvHeadCount, headDim, expertsPerToken, vocabularySize } = config;
  const choices = maxTokens * expertsPerToken;
  const { accumulator: _, ...stepSpecs } = chunkSpecs(config, maxTokens);
  return {
    ...stepSpecs,
    tokens: { bytes: maxTokens * 4 },
    normed: { rows: maxTokens, width: embeddingLength },
    q: { rows: maxTokens, width: headCount * headDim },
    k: { rows: maxTokens, width: kvHeadCount * headDim },
    v: { rows: maxTokens, width: kvHeadCount * headDim },
    attended: { rows: maxTokens, width: headCount * headDim },
    attentionScratch: { bytes: attentionScratchBytes({ headCount, headDim, capacity: context, maxTokens }) },
    routerLogits: { rows: maxTokens, width: config.expertCount },
    trace: { bytes: config.layerCount * TRACE_STRIDE },
    predictions: { bytes: config.layerCount * TRACE_STRIDE },
    predictionNormed: { rows: 1, width: embeddingLength },
    predictionLogits: { rows: 1, width: config.expertCount },
    predictionWeights: { bytes: expertsPerToken * 4 },
    groups: { bytes: GROUPS_HEADER_BYTES + choices * 4 },
    expertOut: { rows: choices, width: embeddingLength },
    activations: { rows: choices, width: config.feedForwardLength },
    headResidual: { rows: 1, width: embeddingLength },
    headNormed: { rows: 1, width: embeddingLength },
    logits: { rows: 1, width: vocabularySize },
    sampleParams: { bytes: sampleParamsBytes(vocabularySize) },
    sampleCounts: { bytes: vocabularySize * 4 },
    sampleBias: { bytes: vocabularySize * 4 },
    sampleScratch: { bytes: sampleScratchBytes(vocabularySize) },
    sampleResult: { bytes: SAMPLE_RESULT_BYTES },
  } satisfies Specs;
}

const bytesOf = (spec: Specs[string]): Bytes => ('bytes' in spec ? spec.bytes : spec.rows * strideOf(spec.width) * 4);

const sumOf = (all: Specs): Bytes => Object.values(all).reduce((sum, spec) => sum + bytesOf(spec), 0);

/** GPU bytes that {@link createStepBuffers} will take. */
export const stepBufferBytes = (config: ModelConfig, shape: StepShape): Bytes =>
  STEP_STATE_BYTES + sumOf(specs(config, shape));

/** GPU bytes that the longest prompt's rows will take beside them: 32 KB a token in Mixtral. None where it is a single chunk. */
export const prefillBuffersBytes = (config: ModelConfig, { maxTokens, context }: StepShape): Bytes =>
  context > maxTokens ? sumOf(chunkSpecs(config, context)) : 0;

/** A buffer for each spec, under the same name. */
type Buffers<S extends Specs> = { [K in keyof S]: S[K] extends { bytes: Bytes } ? Slice : Activations };

interface Allocated<S extends Specs> {
  slices: Buffers<S>;
  bytes: Bytes;
  destroy(): void;
}

function allocate<S extends Specs>(device: GPUDevice, all: S, kind: string): Allocated<S> {
  const buffers: GPUBuffer[] = [];
  const slices: Record<string, Slice | Activations> = {};
  for (const [name, spec] of Object.entries(all)) {
    const buffer = device.createBuffer({
      label: `${kind}${name}`,
      size: Math.max(16, bytesOf(spec)),
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
    buffers.push(buffer);
    slices[name] = 'bytes' in spec ? whole(buffer) : { slice: whole(buffer), stride: strideOf(spec.width) };
  }
  return {
    slices: slices as Buffers<S>,
    bytes: buffers.reduce((sum, buffer) => sum + buffer.size, 0),
    destroy: () => {
      for (const buffer of buffers) buffer.destroy();
    },
  };
}

export function createStepBuffers(device: GPUDevice, config: ModelConfig, shape: StepShape): StepBuffers {
  const { slices, bytes, destroy } = allocate(device, specs(config, shape), '');
  const state = new StepState(device);
  const { predictionNormed, predictionLogits, predictionWeights, ...rest } = slices;
  return {
    ...rest,
    predictionScratch: {
      normed: predictionNormed,
      routerLogits: predictionLogits,
      routingWeights: predictionWeights,
    },
    state,
    maxTokens: shape.maxTokens,
    bytes: bytes + STEP_STATE_BYTES,
    destroy: () => {
      state.destroy();
      destroy();
    },
  };
}

/** Rows for a chunk of `tokens`. */
export function createChunkActivations(
  device: GPUDevice,
  config: ModelConfig,
  tokens: number,
): { rows: ChunkActivations; bytes: Bytes; destroy(): void } {
  const { slices, bytes, destroy } = allocate(device, chunkSpecs(config, tokens), 'prompt ');
  return { rows: slices, bytes, destroy };
}

/** One layer's region of the trace. */
export function traceOf({ trace }: StepBuffers, layer: number, expertsPerToken: number): Slice {
  return { buffer: trace.buffer, offset: layer * TRACE_STRIDE, size: expertsPerToken * 4 };
}

/** One layer's region of the predictions. */
export function predictionOf({ predictions }: StepBuffers, layer: number, expertsPerToken: number): Slice {
  return { buffer: predictions.buffer, offset: layer * TRACE_STRIDE, size: expertsPerToken * 4 };
}
