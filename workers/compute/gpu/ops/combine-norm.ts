import combineNormCode from '../../../../shaders/combine_norm.wgsl?raw';
import normScaleCode from '../../../../shaders/lib/norm_scale.wgsl?raw';
import normWeightsCode from '../../../../shaders/lib/norm_weights.wgsl?raw';
import totalCode from '../../../../shaders/lib/workgroup_total.wgsl?raw';
import type { Dispatch, Slice } from '../dispatch.ts';
import type { KernelSource } from '../pipelines.ts';
import { STEP_STATE_WGSL } from '../step-state.ts';
import { type CombineArgs, combine } from './combine.ts';
import type { Activations, OpContext } from './context.ts';
import { rmsNorm } from './rms-norm.ts';

const KERNEL: KernelSource = {
  name: 'combine+norm',
  code: [STEP_STATE_WGSL, totalCode, normScaleCode, normWeightsCode, combineNormCode],
};
const WORKGROUP = 256;

export interface CombineAndNormArgs extends CombineArgs {
  /** f32[width]: the weights of the norm. */
  weight: Slice;
  /** f32[maxTokens, width], with the stride of `sums`: the normalized sums. */
  output: Activations;
  epsilon: number;
}

/** {@link combine}, then `output = rmsnorm(sums)`: in one dispatch if the variant is `fused`. */
export function combineAndNorm(ctx: OpContext, args: CombineAndNormArgs): Dispatch[] {
  const { sums, rows, rowsPerSum, width, epsilon, weight, output, maxTokens, label } = args;
  if (ctx.kernels.between === 'separate') {
    return [...combine(ctx, args), ...rmsNorm(ctx, { ...args, input: sums, label: `${label}.norm` })];
  }
  return [
    ctx.pipelines.dispatch(
      KERNEL,
      { WIDTH: width, STRIDE: sums.stride, K: rowsPerSum, EPSILON: epsilon, WORKGROUP },
      [ctx.state, sums.slice, rows.slice, weight, output.slice],
      [1, maxTokens, 1],
      label,
    ),
  ];
}
