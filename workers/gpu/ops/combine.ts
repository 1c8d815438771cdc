import combineCode from '../../../shaders/combine.wgsl?raw';
import stateCode from '../../../shaders/lib/state.wgsl?raw';
import type { Dispatch, Slice } from '../dispatch.ts';
import type { KernelSource } from '../pipelines.ts';
import type { OpContext, Rows } from './context.ts';

const KERNEL: KernelSource = { name: 'combine', code: [stateCode, combineCode] };
const WORKGROUP = 64;

export interface CombineArgs {
  /** f32[maxTokens, width], added to in place. */
  residual: Rows;
  /** f32[maxTokens * expertsPerToken, width]: row t * expertsPerToken + k; tails zero. */
  expertOut: Rows;
  /** f32[maxTokens, expertsPerToken] */
  routingWeights: Slice;
  width: number;
  expertsPerToken: number;
  maxTokens: number;
  place: string;
}

/** `residual[t] += sum over k of routingWeights[t, k] * expertOut[t * expertsPerToken + k]`, in order of k. */
export function combine(ctx: OpContext, args: CombineArgs): Dispatch[] {
  const { residual, expertOut, routingWeights, width, expertsPerToken, maxTokens, place } = args;
  return [
    ctx.pipelines.dispatch(
      KERNEL,
      { WIDTH: width, K: expertsPerToken, STRIDE: residual.stride, EXPERT_STRIDE: expertOut.stride, WORKGROUP },
      [ctx.state, residual.slice, expertOut.slice, routingWeights],
      [Math.ceil(width / 4 / WORKGROUP), maxTokens, 1],
      place,
    ),
  ];
}
