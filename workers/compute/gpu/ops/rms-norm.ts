import normScaleCode from '../../../../shaders/lib/norm_scale.wgsl?raw';
import totalCode from '../../../../shaders/lib/workgroup_total.wgsl?raw';
import rmsNormCode from '../../../../shaders/rms_norm.wgsl?raw';
import rmsNormWorkgroupCode from '../../../../shaders/rms_norm_workgroup.wgsl?raw';
import type { Dispatch, Slice } from '../dispatch.ts';
import type { KernelSource } from '../pipelines.ts';
import { STEP_STATE_WGSL } from '../step-state.ts';
import type { Activations, OpContext } from './context.ts';

const ROWS: KernelSource = { name: 'rms_norm', code: [STEP_STATE_WGSL, normScaleCode, rmsNormCode] };
const WORKGROUP: KernelSource = {
  name: 'rms_norm_workgroup',
  code: [STEP_STATE_WGSL, totalCode, normScaleCode, rmsNormWorkgroupCode],
};

/** Columns that a thread of the variant `rows` scales, after it has summed the squares of the whole row. */
const COLUMNS_PER_THREAD = 64;
const ROWS_WORKGROUP = 4;

export interface RmsNormArgs {
  /** f32[maxTokens, width]; the padding is zero. */
  input: Activations;
  /** f32[width] */
  weight: Slice;
  /** f32[maxTokens, width] */
  output: Activations;
  width: number;
  epsilon: number;
  maxTokens: number;
  label: string;
}

/** `output[t] = input[t] / sqrt(mean(input[t]^2) + epsilon) * weight` */
export function rmsNorm(ctx: OpContext, args: RmsNormArgs): Dispatch[] {
  const { input, weight, output, width, epsilon, maxTokens, label } = args;
  const rows = ctx.variant === 'rows';
  const workgroup = rows ? ROWS_WORKGROUP : 256;
  const groupsPerRow = rows ? Math.ceil(width / (COLUMNS_PER_THREAD * workgroup)) : 1;
  return [
    ctx.pipelines.dispatch(
      rows ? ROWS : WORKGROUP,
      {
        WIDTH: width,
        INPUT_STRIDE: input.stride,
        OUTPUT_STRIDE: output.stride,
        EPSILON: epsilon,
        WORKGROUP: workgroup,
      },
      [ctx.state, input.slice, weight, output.slice],
      [groupsPerRow, maxTokens, 1],
      label,
    ),
  ];
}
