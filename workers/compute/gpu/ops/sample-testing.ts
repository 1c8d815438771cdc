/** Runs the sampler on given logits. Used by the tests of its variants. */
import type { SamplingOptions } from '../../../../src/contract/engine-api.ts';
import { candidates, ranking } from '../../../reference/sample.ts';
import type { Dispatch, Slice } from '../dispatch.ts';
import { decodeStepState } from '../step-state.ts';
import {
  allocate,
  getTestDevice,
  makeContext,
  randomNormal,
  readBack,
  run,
  type StateValues,
  seededRandom,
  upload,
  uploadActivations,
} from '../testing.ts';
import {
  readSampleResult,
  SAMPLE_RESULT,
  SAMPLE_RESULT_BYTES,
  sample,
  sampleScratchBytes,
  writeSampleParams,
} from './sample.ts';

/**
 * `rows` and `workgroup`: in one workgroup of 4 or 128 threads; `blocks`: in many workgroups. `last`: the last kernel of
 * `blocks`, which computes as `rows`, without a kernel more to compile.
 */
export type SamplerVariant = 'rows' | 'workgroup' | 'blocks' | 'last';

export interface Case extends SamplingOptions {
  logits: Float32Array;
  variant?: SamplerVariant;
  counts?: Uint32Array;
  topCount?: number;
  /** The ids that may be sampled; default: all. */
  allowed?: (id: number) => boolean;
  state?: StateValues;
  /** How many tokens to sample from the same logits, in successive steps. */
  repeats?: number;
}

export async function sampler({
  logits,
  variant = 'rows',
  counts,
  topCount = 0,
  allowed,
  state,
  repeats = 1,
  ...options
}: Case) {
  const gpu = await getTestDevice();
  const ctx = await contextOf(variant, state);
  const vocabularySize = logits.length;
  const bias = new Float32Array(vocabularySize);
  for (const [id, value] of Object.entries(options.logitBias ?? {})) bias[Number(id)] = value;
  const seen: Slice = upload(gpu, counts ?? new Uint32Array(vocabularySize));
  const result = allocate(gpu, SAMPLE_RESULT_BYTES);
  const tokens = upload(gpu, new Uint32Array([7]));
  const mask = allowed && maskOf(vocabularySize, allowed);
  const params = upload(gpu, new Uint8Array(writeSampleParams(options, options.seed ?? 1, topCount, mask)));
  const scratch = allocate(gpu, sampleScratchBytes(vocabularySize));
  let dispatches: Dispatch[] | undefined;
  const record = (): Dispatch[] => {
    const recorded = sample(ctx, {
      logits: uploadActivations(gpu, logits, vocabularySize),
      vocabularySize,
      params,
      counts: seen,
      bias: upload(gpu, bias),
      tokens,
      result,
      scratch,
    });
    return variant === 'last' ? recorded.slice(-1) : recorded;
  };
  // In `last`, nothing else marks the next token as not sampled yet, and histograms overwrite the mark.
  const runs = variant === 'last' ? repeats : 1;
  for (let turn = 0; turn < runs; turn++) {
    gpu.queue.writeBuffer(scratch.buffer, scratch.offset + vocabularySize * 4, new Uint32Array(1));
    await run(gpu, () => {
      dispatches ??= record();
      return Array<Dispatch[]>(repeats / runs)
        .fill(dispatches)
        .flat();
    });
  }
  const words = await readBack(gpu, result, Uint32Array);
  const fromList = variant === 'blocks' && (await readBack(gpu, scratch, Uint32Array))[vocabularySize] === 1;
  return {
    ...readSampleResult(words.buffer),
    cut: { key: words[SAMPLE_RESULT.cutKey], id: words[SAMPLE_RESULT.cutId] },
    /** 1 if a logit is NaN or infinite. */
    notFinite: words[SAMPLE_RESULT.notFinite],
    /** Whether the list of the likeliest tokens was enough, in `blocks`. */
    fromList,
    next: (await readBack(gpu, tokens, Uint32Array))[0],
    counts: (await readBack(gpu, seen, Uint32Array)).subarray(0, vocabularySize),
    state: decodeStepState((await readBack(gpu, ctx.state, Uint32Array)).buffer),
  };
}

/** The kernel for one workgroup that follows those for many is the one that software adapters compile fast. */
const contextOf = (variant: SamplerVariant, state?: StateValues) =>
  variant === 'blocks' || variant === 'last'
    ? makeContext('rows', state, { sampler: 'blocks' })
    : makeContext(variant, state);

function maskOf(vocabularySize: number, allowed: (id: number) => boolean): Uint32Array {
  const mask = new Uint32Array(Math.ceil(vocabularySize / 32));
  for (let id = 0; id < vocabularySize; id++) if (allowed(id)) mask[id >> 5] |= 1 << (id & 31);
  return mask;
}

/** The kernel's order-preserving key of an f32, computed in another way. */
function orderedKey(value: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value + 0); // -0 + 0 is +0
  const bits = view.getInt32(0);
  return bits < 0 ? -1 - bits : bits + 2 ** 31;
}

/** The ids up to `cut` in the sampler's order. */
export const keptBy = (logits: Float32Array, cut: { key: number; id: number }): number[] =>
  ranking(logits).filter((id) => {
    const key = orderedKey(logits[id]);
    return key > cut.key || (key === cut.key && id <= cut.id);
  });

/**
 * The least and the largest number of tokens that sorting keeps, if sums of probabilities have an error of 2e-6 as in
 * f32.
 */
export const keptSizes = (logits: Float32Array, { topP = 1, ...options }: SamplingOptions): [number, number] => {
  const size = (p: number): number => candidates(logits, { ...options, topP: p }).length;
  return topP < 1 ? [size(topP - 2e-6), size(topP + 2e-6)] : [size(1), size(1)];
};

/** Logits like those of a language model: a few large ones and a long tail. */
export const modelLogits = (vocabularySize: number, seed: number): Float32Array =>
  randomNormal(seededRandom(seed), vocabularySize, 2.5).map((x, i) => (i % 97 === 5 ? x + 4 : x));
/** Logits with few different values, so that every cut falls among equal logits. */
export const tiedLogits = (vocabularySize: number, seed: number): Float32Array =>
  modelLogits(vocabularySize, seed).map((x) => Math.round(x));
