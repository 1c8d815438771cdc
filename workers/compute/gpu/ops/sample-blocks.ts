import adjustedLogitsCode from '../../../../shaders/lib/adjusted_logits.wgsl?raw';
import orderedKeyCode from '../../../../shaders/lib/ordered_key.wgsl?raw';
import sampledTokenCode from '../../../../shaders/lib/sampled_token.wgsl?raw';
import samplingCode from '../../../../shaders/lib/sampling.wgsl?raw';
import samplingBlocksCode from '../../../../shaders/lib/sampling_blocks.wgsl?raw';
import threefryCode from '../../../../shaders/lib/threefry.wgsl?raw';
import gatherCode from '../../../../shaders/sample_gather.wgsl?raw';
import pickCode from '../../../../shaders/sample_pick.wgsl?raw';
import surveyCode from '../../../../shaders/sample_survey.wgsl?raw';
import type { Bytes } from '../../../../src/contract/ids.ts';
import type { Dispatch, Slice } from '../dispatch.ts';
import type { KernelSource } from '../pipelines.ts';
import { STEP_STATE_WGSL } from '../step-state.ts';
import { constants } from './constants.ts';
import type { OpContext } from './context.ts';
import type { SampleArgs } from './sample-args.ts';

// These sizes must match shaders/lib/sampling_blocks.wgsl.
/** Workgroups that share the vocabulary. */
const BLOCKS = 64;
/** Tokens that one thread surveys are a group. */
const GROUPS = 64 * BLOCKS;
/** Room for the likeliest tokens, by adjusted and by raw logits. */
const LISTED = 1024 + 256;

/** Bytes of `Work`: two maxima per group, eight words per block, three counters, two words per token of the lists. */
export const WORK_BYTES: Bytes = (2 * GROUPS + 8 * BLOCKS + 3 + 2 * LISTED) * 4;

const kernel = (name: string, ...code: string[]): KernelSource => ({
  name: `sample ${name}`,
  code: [STEP_STATE_WGSL, orderedKeyCode, samplingCode, samplingBlocksCode, ...code],
});
const SURVEY = kernel('survey', adjustedLogitsCode, surveyCode);
const GATHER = kernel('gather', gatherCode);
const PICK = kernel('pick', sampledTokenCode, threefryCode, pickCode);

/**
 * Surveys the vocabulary in many workgroups, lists the likeliest tokens and samples from the list. If that is not enough,
 * word `vocabularySize` of the scratch memory stays 0, and nothing else is changed.
 * @param args `work` is {@link WORK_BYTES} long, and does not overlap `scratch`
 */
export function sampleFromBlocks({ pipelines, state }: OpContext, args: SampleArgs & { work: Slice }): Dispatch[] {
  const { vocabularySize, params, counts, bias, tokens, result, scratch, work } = args;
  const logits = args.logits.slice;
  const size = constants(pipelines.device, vocabularySize);
  const loops = { PER_THREAD: Math.ceil(vocabularySize / GROUPS) };
  return [
    pipelines.dispatch(SURVEY, loops, [state, logits, params, counts, bias, scratch, work, size], [BLOCKS, 1, 1]),
    pipelines.dispatch(GATHER, loops, [state, logits, params, scratch, work, size], [BLOCKS, 1, 1]),
    pipelines.dispatch(PICK, {}, [state, logits, params, counts, tokens, result, scratch, work, size], [1, 1, 1]),
  ];
}
