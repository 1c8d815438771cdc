import storageHistogramCode from '../../../../shaders/lib/histogram_storage.wgsl?raw';
import workgroupHistogramCode from '../../../../shaders/lib/histogram_workgroup.wgsl?raw';
import orderedKeyCode from '../../../../shaders/lib/ordered_key.wgsl?raw';
import threefryCode from '../../../../shaders/lib/threefry.wgsl?raw';
import sampleCode from '../../../../shaders/sample.wgsl?raw';
import type { SamplingOptions, TokenLogprob } from '../../../../src/contract/engine-api.ts';
import { type Bytes, type TokenId, tokenId } from '../../../../src/contract/ids.ts';
import type { Dispatch, Slice } from '../dispatch.ts';
import type { KernelSource } from '../pipelines.ts';
import { STEP_STATE_WGSL } from '../step-state.ts';
import type { Activations, OpContext } from './context.ts';

const kernel = (variant: string, histogramCode: string): KernelSource => ({
  name: `sample ${variant}`,
  code: [STEP_STATE_WGSL, orderedKeyCode, threefryCode, histogramCode, sampleCode],
});

/** Few threads where they are loops and barriers are dear. */
const VARIANTS = {
  rows: { kernel: kernel('rows', storageHistogramCode), size: { WORKGROUP: 4, DIGIT_BITS: 8 } },
  workgroup: { kernel: kernel('workgroup', workgroupHistogramCode), size: { WORKGROUP: 128, DIGIT_BITS: 4 } },
};
/** Words of histograms in scratch memory: bins of each thread. */
const HISTOGRAMS = VARIANTS.rows.size.WORKGROUP << VARIANTS.rows.size.DIGIT_BITS;

/** Largest `topLogprobs`: the API of OpenAI allows 20. */
export const MAX_TOP = 20;

/** Word (u32 or f32) offsets in the params buffer: `Params` in sample.wgsl. */
const PARAMS = {
  temperature: 0,
  topK: 1,
  topP: 2,
  minP: 3,
  repetition: 4,
  presence: 5,
  frequency: 6,
  penalties: 7,
  biases: 8,
  topCount: 9,
  seed: 10,
  masked: 12,
  allowed: 16,
} as const;

/** Bytes of the params with a mask of so many words, a bit a token. A binding needs room for the mask's first word, aligned. */
const paramsBytes = (maskWords: number): Bytes => (PARAMS.allowed + Math.max(maskWords, 4)) * 4;

export const sampleParamsBytes = (vocabularySize: number): Bytes => paramsBytes(Math.ceil(vocabularySize / 32));

/** Word offsets in the result buffer: `Result` in sample.wgsl. */
export const SAMPLE_RESULT = {
  token: 0,
  logprob: 1,
  /** `state.step` before this token. */
  step: 2,
  topCount: 3,
  topIds: 4,
  topLogprobs: 4 + MAX_TOP,
  /** The last candidate that top-k, top-p and min-p left: order-preserving key of its logit, and its id. */
  cutKey: 4 + 2 * MAX_TOP,
  cutId: 5 + 2 * MAX_TOP,
} as const;
export const SAMPLE_RESULT_BYTES: Bytes = 192;

/** u32[vocabularySize] keys, f32[HISTOGRAMS] */
export const sampleScratchBytes = (vocabularySize: number): Bytes => (vocabularySize + HISTOGRAMS) * 4;

export interface SampleArgs {
  /** f32[1, vocabularySize] */
  logits: Activations;
  vocabularySize: number;
  /** sampleParamsBytes; written with {@link writeSampleParams}, between tokens with {@link writeAllowed}. */
  params: Slice;
  /** u32[vocabularySize]: occurrences, for the penalties; the token picked is counted. */
  counts: Slice;
  /** f32[vocabularySize]: added to the logits. */
  bias: Slice;
  /** tokens[0] becomes the token picked. */
  tokens: Slice;
  /** SAMPLE_RESULT_BYTES; read with {@link readSampleResult}. */
  result: Slice;
  /** sampleScratchBytes */
  scratch: Slice;
}

/** Picks the next token and advances the state to it: position, step, one token. */
export function sample(ctx: OpContext, args: SampleArgs): Dispatch[] {
  const { kernel, size } = VARIANTS[ctx.variant];
  return [
    ctx.pipelines.dispatch(
      kernel,
      { VOCABULARY: args.vocabularySize, ...size },
      [ctx.state, args.logits.slice, args.params, args.counts, args.bias, args.tokens, args.result, args.scratch],
      [1, 1, 1],
    ),
  ];
}

/**
 * The params buffer of a generation. Order and meaning of the options are those of llama.cpp's default
 * chain: bias, penalties, top-k, top-p, min-p, temperature.
 * @param seed a whole number, of which 64 bits count
 * @param topCount how many of the likeliest tokens to report, at most {@link MAX_TOP}
 * @param allowed the tokens that may be picked, a bit each; absent: all
 */
export function writeSampleParams(
  options: SamplingOptions,
  seed: number,
  topCount = 0,
  allowed?: Uint32Array,
): ArrayBuffer {
  const { temperature = 1, topK = 0, topP = 1, minP = 0, logitBias = {} } = options;
  const { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0 } = options;
  const buffer = new ArrayBuffer(paramsBytes(allowed?.length ?? 0));
  const floats = new Float32Array(buffer);
  const words = new Uint32Array(buffer);
  floats[PARAMS.temperature] = temperature;
  words[PARAMS.topK] = Math.max(0, topK);
  floats[PARAMS.topP] = topP;
  floats[PARAMS.minP] = minP;
  floats[PARAMS.repetition] = repetitionPenalty;
  floats[PARAMS.presence] = presencePenalty;
  floats[PARAMS.frequency] = frequencyPenalty;
  words[PARAMS.penalties] = repetitionPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0 ? 1 : 0;
  words[PARAMS.biases] = Object.keys(logitBias).length > 0 ? 1 : 0;
  words[PARAMS.topCount] = Math.min(topCount, MAX_TOP);
  words[PARAMS.seed] = seed % 2 ** 32;
  words[PARAMS.seed + 1] = Math.floor(seed / 2 ** 32);
  words[PARAMS.masked] = allowed ? 1 : 0;
  if (allowed) words.set(allowed, PARAMS.allowed);
  return buffer;
}

/** Sets which tokens the next step may pick; the params must have been written with a mask before. */
export function writeAllowed(queue: GPUQueue, params: Slice, allowed: Uint32Array<ArrayBuffer>): void {
  queue.writeBuffer(params.buffer, params.offset + PARAMS.allowed * 4, allowed);
}

export interface SampleResult extends TokenLogprob {
  id: TokenId;
  /** The likeliest tokens by raw logits, likeliest first. */
  top: TokenLogprob[];
}

/** What the sampler wrote. Log-probabilities are natural and of the raw logits. */
export function readSampleResult(result: ArrayBuffer): SampleResult {
  const words = new Uint32Array(result);
  const floats = new Float32Array(result);
  return {
    id: tokenId(words[SAMPLE_RESULT.token]),
    logprob: floats[SAMPLE_RESULT.logprob],
    top: Array.from({ length: words[SAMPLE_RESULT.topCount] }, (_, i) => ({
      id: tokenId(words[SAMPLE_RESULT.topIds + i]),
      logprob: floats[SAMPLE_RESULT.topLogprobs + i],
    })),
  };
}
