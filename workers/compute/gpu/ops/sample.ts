import adjustedLogitsCode from '../../../../shaders/lib/adjusted_logits.wgsl?raw';
import storageHistogramCode from '../../../../shaders/lib/histogram_storage.wgsl?raw';
import workgroupHistogramCode from '../../../../shaders/lib/histogram_workgroup.wgsl?raw';
import orderedKeyCode from '../../../../shaders/lib/ordered_key.wgsl?raw';
import sampledTokenCode from '../../../../shaders/lib/sampled_token.wgsl?raw';
import samplingCode from '../../../../shaders/lib/sampling.wgsl?raw';
import threefryCode from '../../../../shaders/lib/threefry.wgsl?raw';
import sampleCode from '../../../../shaders/sample.wgsl?raw';
import type { SamplingOptions } from '../../../../src/contract/engine-api.ts';
import { type Bytes, tokenId } from '../../../../src/contract/ids.ts';
import { MAX_TOP, type Sample } from '../../compute.ts';
import { notFinite } from '../../finite.ts';
import type { Dispatch, Slice } from '../dispatch.ts';
import type { KernelSource } from '../pipelines.ts';
import { STEP_STATE_WGSL } from '../step-state.ts';
import { constants } from './constants.ts';
import type { OpContext } from './context.ts';
import type { SampleArgs } from './sample-args.ts';
import { sampleFromBlocks, WORK_BYTES } from './sample-blocks.ts';

const kernel = (variant: string, histogramCode: string): KernelSource => ({
  name: `sample ${variant}`,
  code: [
    STEP_STATE_WGSL,
    orderedKeyCode,
    samplingCode,
    adjustedLogitsCode,
    sampledTokenCode,
    threefryCode,
    histogramCode,
    sampleCode,
  ],
});

/** Few threads on software adapters, where barriers are expensive (docs/measurements/kernels.md). */
const VARIANTS = {
  rows: { kernel: kernel('rows', storageHistogramCode), size: { WORKGROUP: 4, DIGIT_BITS: 8 } },
  workgroup: { kernel: kernel('workgroup', workgroupHistogramCode), size: { WORKGROUP: 128, DIGIT_BITS: 4 } },
};
/** Words of the histograms in scratch memory: the bins of each thread. */
const HISTOGRAMS = VARIANTS.rows.size.WORKGROUP << VARIANTS.rows.size.DIGIT_BITS;

/** Word offsets in the params buffer: they must match `Params` in sample.wgsl. */
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

/**
 * Bytes of the params with a mask of `maskWords` words, 32 tokens each. The binding always needs room for 4 words of
 * mask.
 */
const paramsBytes = (maskWords: number): Bytes => (PARAMS.allowed + Math.max(maskWords, 4)) * 4;

/** Bytes of the params buffer with room for a mask. */
export const sampleParamsBytes = (vocabularySize: number): Bytes => paramsBytes(Math.ceil(vocabularySize / 32));

/** Word offsets in the result buffer: they must match `Result` in sample.wgsl. */
export const SAMPLE_RESULT = {
  token: 0,
  logprob: 1,
  /** `state.step` before this token. */
  step: 2,
  topCount: 3,
  topIds: 4,
  topLogprobs: 4 + MAX_TOP,
  /** The last candidate after top-k, top-p and min-p: the order-preserving key of its logit, and its id. */
  cutKey: 4 + 2 * MAX_TOP,
  cutId: 5 + 2 * MAX_TOP,
  /** 1 if a logit is NaN or infinite. */
  notFinite: 6 + 2 * MAX_TOP,
} as const;
/** Bytes of the result buffer. */
export const SAMPLE_RESULT_BYTES: Bytes = 192;

/** Where the memory of the sampler in many workgroups starts in the scratch buffer: an offset for a binding. */
const workOffset = (vocabularySize: number): Bytes => Math.ceil(((vocabularySize + HISTOGRAMS) * 4) / 256) * 256;

/**
 * Bytes of the scratch buffer: keys u32[vocabularySize], histograms f32[HISTOGRAMS], then the memory of the sampler in
 * many workgroups.
 */
export const sampleScratchBytes = (vocabularySize: number): Bytes => workOffset(vocabularySize) + WORK_BYTES;

/**
 * Samples the next token and advances the step state to it: position, sampler step, one token. With the variant `blocks`
 * many workgroups share the vocabulary. The single workgroup then only runs if what they list is not enough.
 */
export function sample(ctx: OpContext, args: SampleArgs): Dispatch[] {
  const { kernel, size } = VARIANTS[ctx.variant];
  const { vocabularySize, scratch } = args;
  const inBlocks = ctx.kernels.sampler === 'blocks';
  const offset = workOffset(vocabularySize);
  const work = { ...scratch, offset: scratch.offset + offset, size: WORK_BYTES };
  const keys = { ...scratch, size: offset };
  const vocabulary = constants(ctx.pipelines.device, vocabularySize);
  return [
    ...(inBlocks ? sampleFromBlocks(ctx, { ...args, scratch: keys, work }) : []),
    ctx.pipelines.dispatch(
      kernel,
      { ...size, AFTER_PICK: inBlocks ? 1 : 0 },
      [ctx.state, args.logits.slice, args.params, args.counts, args.bias, args.tokens, args.result, keys, vocabulary],
      [1, 1, 1],
    ),
  ];
}

/**
 * Encodes the params buffer of an answer. Order and meaning of the options are those of the default chain of llama.cpp:
 * bias, penalties, top-k, top-p, min-p, temperature.
 * @param seed an integer of up to 64 bits
 * @param topCount how many of the likeliest tokens to report, at most {@link MAX_TOP}
 * @param allowed one bit per token that may be sampled; default: all tokens
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

/** Sets the tokens that the next step may sample. The params must have been written with a mask before. */
export function writeAllowed(queue: GPUQueue, params: Slice, allowed: Uint32Array<ArrayBuffer>): void {
  queue.writeBuffer(params.buffer, params.offset + PARAMS.allowed * 4, allowed);
}

/** @throws MixtabError `not-finite` if a logit was NaN or infinite */
export function checkSampleResult(result: ArrayBuffer): void {
  if (new Uint32Array(result)[SAMPLE_RESULT.notFinite] !== 0) throw notFinite();
}

/**
 * Decodes the result of the sampler. Log-probabilities are natural logarithms of the probabilities of the raw logits.
 */
export function readSampleResult(result: ArrayBuffer): Sample {
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
