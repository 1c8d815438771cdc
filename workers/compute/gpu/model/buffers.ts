/** The buffers of one step, which computes up to `maxTokens` tokens. They are allocated once per model. */

import type { Bytes } from '../../../../src/contract/ids.ts';
import type { ModelConfig } from '../../../../src/contract/import-api.ts';
import { INPUT_ALIGNMENT_WEIGHTS } from '../../../format/weight-layout.ts';
import { type Slice, whole } from '../dispatch.ts';
import { attentionScratchBytes } from '../ops/attention.ts';
import { type Activations, GROUPS_HEADER_BYTES } from '../ops/context.ts';
import { SAMPLE_RESULT_BYTES, sampleParamsBytes, sampleScratchBytes } from '../ops/sample.ts';
import { STEP_STATE_BYTES, StepState } from '../step-state.ts';
import type { KernelChoice } from '../variants/kernel-variants.ts';

interface TokenActivations {
  /** f32[tokens, embeddingLength]: the vector per token that the layers add to. */
  residual: Activations;
  /** f32[tokens, expertsPerToken]: the weights of `selectedExperts`. */
  routingWeights: Slice;
  /** u32[tokens, expertsPerToken]: the experts that the router selects, in prefill. In decode they are in `trace`. */
  selectedExperts: Slice;
}

/** The activations that a chunk of a prompt keeps while other chunks are computed. */
export interface ChunkActivations extends TokenActivations {
  /** f32[tokens, embeddingLength]: the sum of the expert outputs of the layer so far; zero between layers. */
  accumulator: Activations;
}

/** All buffers that the kernels of a step read and write. */
export interface StepBuffers extends TokenActivations {
  /** The largest number of tokens per step. */
  maxTokens: number;
  /**
   * f32[maxTokens, embeddingLength]: the sum of the expert outputs of the layer so far. Absent in decode and in prompts
   * of one chunk, where the outputs can stay in `expertOut` until the last expert ran.
   */
  accumulator?: Activations;
  /** Batch, stall mark, sampler step and router options. */
  state: StepState;
  /** u32[maxTokens]: token ids. */
  tokens: Slice;
  /** f32[maxTokens, embeddingLength]: the normalized residual. */
  normed: Activations;
  /** f32[maxTokens, headCount * headDim]: queries. */
  q: Activations;
  /** f32[maxTokens, kvHeadCount * headDim]: keys. */
  k: Activations;
  /** f32[maxTokens, kvHeadCount * headDim]: values. */
  v: Activations;
  /** f32[maxTokens, headCount * headDim]: the output of attention, before the output matrix. */
  attended: Activations;
  /** {@link attentionScratchBytes} long. */
  attentionScratch: Slice;
  /** f32[maxTokens, expertCount]: the scores of the experts. */
  routerLogits: Activations;
  /** u32[layerCount, TRACE_STRIDE / 4]: the `selectedExperts` of every layer, in decode. See {@link traceOf}. */
  trace: Slice;
  /**
   * u32[layerCount, TRACE_STRIDE / 4]: the experts that were predicted one or two layers earlier. See
   * {@link predictionOf}.
   */
  predictions: Slice;
  /** The outputs of a prediction besides its experts. Only its own router reads them. */
  predictionScratch: {
    /** f32[1, embeddingLength] */
    normed: Activations;
    /** f32[1, expertCount] */
    routerLogits: Activations;
    /** f32[1, expertsPerToken] */
    routingWeights: Slice;
  };
  /** The work list of the expert kernels: see MAX_GROUPS in `workers/compute/gpu/ops/context.ts`. */
  groups: Slice;
  /**
   * f32[maxTokens * expertsPerToken, embeddingLength]: weighted outputs of the experts; zero except between
   * `expertDown` and `combine`.
   */
  expertOut: Activations;
  /** f32[maxTokens * expertsPerToken, feedForwardLength]: hidden activations of the experts. */
  activations: Activations;
  /** f32[1, embeddingLength]: the residual of the last token of a prompt, the input of the output head. */
  headResidual: Activations;
  /** f32[1, embeddingLength] */
  headNormed: Activations;
  /** f32[1, vocabularySize] */
  logits: Activations;
  /** {@link sampleParamsBytes} long. */
  sampleParams: Slice;
  /** u32[vocabularySize]: occurrences of each token, for the penalties. */
  sampleCounts: Slice;
  /** f32[vocabularySize]: added to the logits. */
  sampleBias: Slice;
  /** {@link sampleScratchBytes} long. */
  sampleScratch: Slice;
  /** {@link SAMPLE_RESULT_BYTES} long. */
  sampleResult: Slice;
  /** The bytes of all buffers. */
  bytes: Bytes;
  destroy(): void;
}

export interface StepShape {
  /** The largest number of tokens per step. */
  maxTokens: number;
  /** The largest number of positions in the KV cache. The scratch memory of attention depends on it. */
  context: number;
  /** The scratch memory of attention depends on its variant. */
  kernels: KernelChoice;
}

/** Bytes from one layer to the next in `trace`: WebGPU's alignment of binding offsets. */
export const TRACE_STRIDE: Bytes = 256;

/** Floats from one row of activations to the next. */
export const strideOf = (width: number): number => Math.ceil(width / INPUT_ALIGNMENT_WEIGHTS) * INPUT_ALIGNMENT_WEIGHTS;

/** The sizes of buffers: activations as rows and width (floats), others in bytes. */
type Specs = Record<string, { rows: number; width: number } | { bytes: Bytes }>;

function chunkSpecs({ embeddingLength, expertsPerToken }: ModelConfig, tokens: number) {
  return {
    residual: { rows: tokens, width: embeddingLength },
    accumulator: { rows: tokens, width: embeddingLength },
    routingWeights: { bytes: tokens * expertsPerToken * 4 },
    selectedExperts: { bytes: tokens * expertsPerToken * 4 },
  } satisfies Specs;
}

/** The sizes of all buffers, in one place, so that they can be summed before anything is allocated. */
function specs(config: ModelConfig, { maxTokens, context, kernels }: StepShape) {
  const { embeddingLength, headCount, kvHeadCount, headDim, expertsPerToken, vocabularySize } = config;
  const assignments = maxTokens * expertsPerToken;
  const { accumulator: _, ...stepSpecs } = chunkSpecs(config, maxTokens);
  return {
    ...stepSpecs,
    tokens: { bytes: maxTokens * 4 },
    normed: { rows: maxTokens, width: embeddingLength },
    q: { rows: maxTokens, width: headCount * headDim },
    k: { rows: maxTokens, width: kvHeadCount * headDim },
    v: { rows: maxTokens, width: kvHeadCount * headDim },
    attended: { rows: maxTokens, width: headCount * headDim },
    attentionScratch: { bytes: attentionScratchBytes(kernels, { headCount, headDim, capacity: context, maxTokens }) },
    routerLogits: { rows: maxTokens, width: config.expertCount },
    trace: { bytes: config.layerCount * TRACE_STRIDE },
    predictions: { bytes: config.layerCount * TRACE_STRIDE },
    predictionNormed: { rows: 1, width: embeddingLength },
    predictionLogits: { rows: 1, width: config.expertCount },
    predictionWeights: { bytes: expertsPerToken * 4 },
    groups: { bytes: GROUPS_HEADER_BYTES + assignments * 4 },
    expertOut: { rows: assignments, width: embeddingLength },
    activations: { rows: assignments, width: config.feedForwardLength },
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

/** The GPU bytes that {@link createStepBuffers} allocates. */
export const stepBufferBytes = (config: ModelConfig, shape: StepShape): Bytes =>
  STEP_STATE_BYTES + sumOf(specs(config, shape));

/**
 * The GPU bytes of the {@link ChunkActivations} of the longest prompt: 32 KB per token in Mixtral. 0 if it fits into
 * one chunk.
 * @param maxTokens tokens of a chunk
 * @param context tokens of the longest prompt
 */
export const prefillBuffersBytes = (
  config: ModelConfig,
  { maxTokens, context }: { maxTokens: number; context: number },
): Bytes => (context > maxTokens ? sumOf(chunkSpecs(config, context)) : 0);

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

/** Allocates the buffers of a step. */
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

/** Allocates the activations of a prompt chunk with `tokens` tokens. */
export function createChunkActivations(
  device: GPUDevice,
  config: ModelConfig,
  tokens: number,
): { activations: ChunkActivations; bytes: Bytes; destroy(): void } {
  const { slices, bytes, destroy } = allocate(device, chunkSpecs(config, tokens), 'prompt ');
  return { activations: slices, bytes, destroy };
}

/** The `selectedExperts` of one layer in the trace: u32[expertsPerToken] */
export function traceOf({ trace }: StepBuffers, layer: number, expertsPerToken: number): Slice {
  return { buffer: trace.buffer, offset: layer * TRACE_STRIDE, size: expertsPerToken * 4 };
}

/** The predicted experts of one layer: u32[expertsPerToken] */
export function predictionOf({ predictions }: StepBuffers, layer: number, expertsPerToken: number): Slice {
  return { buffer: predictions.buffer, offset: layer * TRACE_STRIDE, size: expertsPerToken * 4 };
}
