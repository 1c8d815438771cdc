import logprobCode from '../../../../shaders/token_logprob.wgsl?raw';
import type { Dispatch, Slice } from '../dispatch.ts';
import type { KernelSource } from '../pipelines.ts';
import { STEP_STATE_WGSL } from '../step-state.ts';
import type { Activations, OpContext } from './context.ts';

const KERNEL: KernelSource = { name: 'token_logprob', code: [STEP_STATE_WGSL, logprobCode] };

export interface TokenLogprobArgs {
  /** f32[maxTokens, vocabularySize] */
  logits: Activations;
  vocabularySize: number;
  /** u32[maxTokens]: one token id per row. */
  targets: Slice;
  /** f32[maxTokens]: the log-probabilities (natural logarithm) of the targets. */
  output: Slice;
  maxTokens: number;
}

/** `output[t] = log softmax(logits[t])[targets[t]]` */
export function tokenLogprob(
  ctx: OpContext,
  { logits, vocabularySize, targets, output, maxTokens }: TokenLogprobArgs,
): Dispatch[] {
  return [
    ctx.pipelines.dispatch(
      KERNEL,
      // Barriers are expensive on software adapters.
      { VOCABULARY: vocabularySize, STRIDE: logits.stride, WORKGROUP: ctx.variant === 'rows' ? 1 : 128 },
      [ctx.state, logits.slice, targets, output],
      [1, maxTokens, 1],
    ),
  ];
}
