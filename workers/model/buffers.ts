/** The activations of one step (a batch of up to `maxTokens` tokens), allocated once for a model. */
import type { ModelConfig } from '../../src/contract/import-api.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import { INPUT_ALIGNMENT_WEIGHTS } from '../../src/contract/weight-layout.ts';
import { type Slice, whole } from '../gpu/dispatch.ts';
import { attentionScratchBytes } from '../gpu/ops/attention.ts';
import { GROUPS_HEADER_BYTES, type Rows } from '../gpu/ops/context.ts';
import { SAMPLE_RESULT_BYTES, sampleParamsBytes, sampleScratchBytes } from '../gpu/ops/sample.ts';
import { STATE_BYTES } from '../gpu/step-state.ts';

/** What must outlast a chunk of a prompt: a row for each of `maxPrompt` tokens that go through a layer together. */
export interface PromptBuffers {
  maxPrompt: number;
  /** f32[maxPrompt, embeddingLength] */
  residual: Rows;
  /** f32[maxPrompt, expertsPerToken] */
  routingWeights: Slice;
  /** u32[maxPrompt, expertsPerToken], in prefill. */
  selected: Slice;
  /** f32[maxPrompt * expertsPerToken, embeddingLength] */
  expertOut: Rows;
}

export interface StepBuffers extends PromptBuffers {
  /** Tokens that go through a kernel together. */
  maxTokens: number;
  state: Slice;
  /** u32[maxTokens] */
  tokens: Slice;
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
  /** u32[layerCount, TRACE_STRIDE / 4], in decode: the chosen experts of every layer. */
  trace: Slice;
  /** The same, as guessed one layer earlier. */
  predictions: Slice;
  /** What a guess needs beside the token's own: its norm, logits and weights, which nobody reads. */
  ahead: { normed: Rows; routerLogits: Rows; routingWeights: Slice };
  groups: Slice;
  /** f32[maxTokens * expertsPerToken, feedForwardLength] */
  activations: Rows;
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

type Specs = Record<string, { rows: number; width: number } | { bytes: Bytes }>;

function promptSpecs({ embeddingLength, expertsPerToken }: ModelConfig, maxPrompt: number) {
  const choices = maxPrompt * expertsPerToken;
  return {
    residual: { rows: maxPrompt, width: embeddingLength },
    routingWeights: { bytes: choices * 4 },
    selected: { bytes: choices * 4 },
    expertOut: { rows: choices, width: embeddingLength },
  } satisfies Specs;
}

/** Sizes of all buffers, in one place, so that they can be counted before they are allocated. */
function specs(config: ModelConfig, { maxTokens, maxPrompt, context }: StepShape) {
  const { embeddingLength, headCount, kvHeadCount, headDim, expertsPerToken, vocabularySize } = config;
  const choices = maxTokens * expertsPerToken;
  return {
    ...promptSpecs(config, maxPrompt),
    state: { bytes: STATE_BYTES },
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
    aheadNormed: { rows: 1, width: embeddingLength },
    aheadLogits: { rows: 1, width: config.expertCount },
    aheadWeights: { bytes: expertsPerToken * 4 },
    groups: { bytes: GROUPS_HEADER_BYTES + choices * 4 },
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
export const stepBufferBytes = (config: ModelConfig, shape: StepShape): Bytes => sumOf(specs(config, shape));

/** GPU bytes that each token's row takes: 48 KB in Mixtral. */
export const promptRowBytes = (config: ModelConfig): Bytes => sumOf(promptSpecs(config, 1));

interface Allocated {
  slices: Record<string, Slice | Rows>;
  bytes: Bytes;
  destroy(): void;
}

function allocate(device: GPUDevice, all: Specs, kind: string): Allocated {
  const buffers: GPUBuffer[] = [];
  const slices: Allocated['slices'] = {};
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
    slices,
    bytes: buffers.reduce((sum, buffer) => sum + buffer.size, 0),
    destroy: () => {
      for (const buffer of buffers) buffer.destroy();
    },
  };
}

export function createStepBuffers(device: GPUDevice, config: ModelConfig, shape: StepShape): StepBuffers {
  const { slices, bytes, destroy } = allocate(device, specs(config, shape), '');
  const { aheadNormed, aheadLogits, aheadWeights, ...rest } = slices;
  return {
    ...(rest as unknown as Omit<StepBuffers, keyof StepShape | 'ahead' | 'bytes' | 'destroy'>),
    ahead: { normed: aheadNormed as Rows, routerLogits: aheadLogits as Rows, routingWeights: aheadWeights as Slice },
    maxTokens: shape.maxTokens,
    maxPrompt: shape.maxPrompt,
    bytes,
    destroy,
  };
}

/** Rows alone, for further `maxPrompt` tokens of a prompt. */
export function createPromptBuffers(
  device: GPUDevice, config: ModelConfig, maxPrompt: number,
): PromptBuffers & Pick<Allocated, 'bytes' | 'destroy'> {
  const { slices, bytes, destroy } = allocate(device, promptSpecs(config, maxPrompt), 'borrowed ');
  return { ...(slices as unknown as Omit<PromptBuffers, 'maxPrompt'>), maxPrompt, bytes, destroy };
}

/** One layer's region of the trace. */
export function traceOf({ trace }: StepBuffers, layer: number, expertsPerToken: number): Slice {
  return { buffer: trace.buffer, offset: layer * TRACE_STRIDE, size: expertsPerToken * 4 };
}

/** One layer's region of the predictions. */
export function predictionOf({ predictions }: StepBuffers, layer: number, expertsPerToken: number): Slice {
  return { buffer: predictions.buffer, offset: layer * TRACE_STRIDE, size: expertsPerToken * 4 };
}

/**
 * The buffers as the tokens of rows `first .. first + count - 1` see them; `first` is a multiple of `maxTokens`.
 * @param prompt where those rows are
 */
export function chunkOf(buffers: StepBuffers, prompt: PromptBuffers, first: number, count: number, expertsPerToken: number): StepBuffers {
  const choices = expertsPerToken * count;
  const rows = ({ slice, stride }: Rows, from: number, length: number): Rows => ({
    slice: { buffer: slice.buffer, offset: from * stride * 4, size: length * stride * 4 },
    stride,
  });
  const words = ({ buffer }: Slice): Slice => ({ buffer, offset: first * expertsPerToken * 4, size: choices * 4 });
  return {
    ...buffers,
    residual: rows(prompt.residual, first, count),
    expertOut: rows(prompt.expertOut, first * expertsPerToken, choices),
    routingWeights: words(prompt.routingWeights),
    selected: words(prompt.selected),
  };
}
