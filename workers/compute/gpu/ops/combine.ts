import combineCode from '../../../../shaders/combine.wgsl?raw';
import type { Dispatch } from '../dispatch.ts';
import type { KernelSource } from '../pipelines.ts';
import { STEP_STATE_WGSL } from '../step-state.ts';
import { constants } from './constants.ts';
import type { Activations, OpContext } from './context.ts';

const KERNEL: KernelSource = { name: 'combine', code: [STEP_STATE_WGSL, combineCode] };
const WORKGROUP = 64;

export interface CombineArgs {
  /** f32[maxTokens, width], added to in place. */
  sums: Activations;
  /** f32[maxTokens * rowsPerSum, width], with the stride of `sums`; the padding is zero. */
  rows: Activations;
  rowsPerSum: number;
  width: number;
  maxTokens: number;
  label: string;
}

/** `sums[t] += sum over k of rows[t * rowsPerSum + k]`, added in order of k. Then sets the rows to zero. */
export function combine(ctx: OpContext, args: CombineArgs): Dispatch[] {
  const { sums, rows, rowsPerSum, width, maxTokens, label } = args;
  return [
    ctx.pipelines.dispatch(
      KERNEL,
      { WIDTH: width, STRIDE: sums.stride, WORKGROUP },
      [ctx.state, sums.slice, rows.slice, constants(ctx.pipelines.device, rowsPerSum)],
      [Math.ceil(width / 4 / WORKGROUP), maxTokens, 1],
      label,
    ),
  ];
}
