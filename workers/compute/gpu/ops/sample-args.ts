import type { Slice } from '../dispatch.ts';
import type { Activations } from './context.ts';

/** The operands of the sampler. The names in backticks are in sample.ts. */
export interface SampleArgs {
  /** f32[1, vocabularySize] */
  logits: Activations;
  vocabularySize: number;
  /**
   * `sampleParamsBytes` long. Filled with `writeSampleParams`, then between tokens with `writeAllowed`.
   */
  params: Slice;
  /** u32[vocabularySize]: occurrences of each token, for the penalties. The sampled token is added. */
  counts: Slice;
  /** f32[vocabularySize]: added to the logits. */
  bias: Slice;
  /** u32[at least 1]: element 0 is set to the sampled token. */
  tokens: Slice;
  /** `SAMPLE_RESULT_BYTES` long; read with `readSampleResult`. */
  result: Slice;
  /** `sampleScratchBytes` long. */
  scratch: Slice;
}
