import orderedKeyCode from '../../../shaders/lib/ordered_key.wgsl?raw';
import stateCode from '../../../shaders/lib/state.wgsl?raw';
import sampleCode from '../../../shaders/sample.wgsl?raw';
import advanceCode from '../../../shaders/sample_advance.wgsl?raw';
import type { SamplingOptions, TokenLogprob } from '../../../src/contract/engine-api.ts';
import { type TokenId, tokenId } from '../../../src/contract/ids.ts';
import type { Dispatch, Slice } from '../dispatch.ts';
import type { KernelSource } from '../pipelines.ts';
import type { OpContext, Rows } from './context.ts';

const SAMPLE: KernelSource = { name: 'sample', code: [stateCode, orderedKeyCode, sampleCode] };
const ADVANCE: KernelSource = { name: 'sample advance', code: [stateCode, advanceCode] };
const WORKGROUP = 64;

/** Most of the likeliest tokens that a result can hold. */
export const MAX_TOP = 20;

/** Word offsets in the result; mirrors `Result` in shaders/sample.wgsl. */
const SAMPLE_RESULT = { id: 0, logprob: 1, topIds: 2, topLogprobs: 2 + MAX_TOP } as const;
export const SAMPLE_RESULT_BYTES = (2 + 2 * MAX_TOP) * 4;

/** Words of `Params` in shaders/sample.wgsl, in order. */
export const SAMPLE_PARAMS_BYTES = 9 * 4;

/** The adjusted logits. */
export const sampleScratchBytes = (vocabularySize: number): number => vocabularySize * 4;

export interface SampleArgs {
  /** f32[1, vocabularySize] */
  logits: Rows;
  vocabularySize: number;
  /** What {@link writeSampleParams} gives. */
  params: Slice;
  /** u32[vocabularySize]: occurrences, for the penalties; the sampled token is added. */
  counts: Slice;
  /** f32[vocabularySize], added to the logits. */
  bias: Slice;
  /** tokens[0] becomes the sampled token. */
  tokens: Slice;
  result: Slice;
  /** `sampleScratchBytes` long. */
  scratch: Slice;
}

/** Samples the next token and moves the state on: position += tokenCount, tokenCount = 1, step += 1. */
export function sample(ctx: OpContext, args: SampleArgs): Dispatch[] {
  const { logits, vocabularySize, params, counts, bias, tokens, result, scratch } = args;
  return [
    ctx.pipelines.dispatch(
      SAMPLE,
      { VOCABULARY: vocabularySize, WORKGROUP },
      [ctx.state, logits.slice, params, counts, bias, scratch, result],
      [1, 1, 1],
    ),
    ctx.pipelines.dispatch(ADVANCE, {}, [ctx.state, result, counts, tokens], [1, 1, 1]),
  ];
}

/** The sampler's parameters as the kernel reads them; defaults are neutral. */
export function writeSampleParams(options: SamplingOptions, seed: number, topCount: number): ArrayBuffer {
  const buffer = new ArrayBuffer(SAMPLE_PARAMS_BYTES);
  const view = new DataView(buffer);
  const float = (word: number, value: number) => view.setFloat32(word * 4, value, true);
  const uint = (word: number, value: number) => view.setUint32(word * 4, value, true);
  float(0, options.temperature ?? 1);
  uint(1, options.topK ?? 0);
  float(2, options.topP ?? 1);
  float(3, options.minP ?? 0);
  float(4, options.repetitionPenalty ?? 1);
  float(5, options.presencePenalty ?? 0);
  float(6, options.frequencyPenalty ?? 0);
  uint(7, seed);
  uint(8, topCount);
  return buffer;
}

export interface SampleResult {
  id: TokenId;
  /** Natural logarithm of its probability under the raw logits. */
  logprob: number;
  /** MAX_TOP entries, of which the first `topCount` of the parameters are meaningful; likeliest first. */
  top: TokenLogprob[];
}

/** Inverse of the kernel's `Result`. */
export function readSampleResult(bytes: ArrayBuffer): SampleResult {
  const words = new Uint32Array(bytes);
  const floats = new Float32Array(bytes);
  return {
    id: tokenId(words[SAMPLE_RESULT.id]),
    logprob: floats[SAMPLE_RESULT.logprob],
    top: Array.from({ length: MAX_TOP }, (_, n) => ({
      id: tokenId(words[SAMPLE_RESULT.topIds + n]),
      logprob: floats[SAMPLE_RESULT.topLogprobs + n],
    })),
  };
}
