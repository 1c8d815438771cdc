import normScaleCode from '../../../../shaders/lib/norm_scale.wgsl?raw';
import normWeightsCode from '../../../../shaders/lib/norm_weights.wgsl?raw';
import totalCode from '../../../../shaders/lib/workgroup_total.wgsl?raw';
import routeTokenCode from '../../../../shaders/route_token.wgsl?raw';
import type { Dispatch, Slice } from '../dispatch.ts';
import { constants } from './constants.ts';
import type { Activations, Matrix, OpContext } from './context.ts';
import { matmul } from './matmul.ts';
import { rmsNorm } from './rms-norm.ts';
import { type RouterArgs, router, SELECT_CODE } from './router.ts';
import { planeOverrides, runsPerRow, weightKernel } from './weight-shader.ts';
import { gridBytes } from './weight-tables.ts';

const WORKGROUP = 256;
/** Storage buffers of the fused kernel. WebGPU guarantees 8; adapters of desktops have 10 or more. */
const STORAGE_BUFFERS = 10;

export interface RouteTokenArgs extends Omit<RouterArgs, 'maxTokens' | 'mode'> {
  mode: Exclude<RouterArgs['mode'], 'prefill'>;
  /** f32[1, width]; the padding is zero. */
  residual: Activations;
  /** f32[width]: the weights of the norm. */
  normWeight: Slice;
  /** [expertCount, width] */
  matrix: Matrix;
  /** f32[1, width], with the stride of `residual`: the normalized residual. */
  normed: Activations;
  width: number;
  epsilon: number;
}

/** Whether one kernel can do it all: it has no binding left for the grid of an IQ type. */
const canFuse = ({ kernels, pipelines }: OpContext, { layout }: Matrix): boolean =>
  kernels.between === 'fused' &&
  !gridBytes(layout.type) &&
  pipelines.device.limits.maxStorageBuffersPerShaderStage >= STORAGE_BUFFERS;

/**
 * `normed = rmsnorm(residual)`, `logits = matrix normed`, then {@link router}, for one token in decode: in one dispatch
 * if the variant is `fused` and the adapter allows it.
 */
export function routeToken(ctx: OpContext, args: RouteTokenArgs): Dispatch[] {
  return canFuse(ctx, args.matrix) ? [routeInOne(ctx, args)] : routeInSteps(ctx, args);
}

function routeInSteps(ctx: OpContext, args: RouteTokenArgs): Dispatch[] {
  const { residual, normWeight, matrix, normed, logits, label } = args;
  const one = { ...args, maxTokens: 1 };
  return [
    ...rmsNorm(ctx, { ...one, input: residual, weight: normWeight, output: normed, label: `${label}.ffn_norm` }),
    ...matmul(ctx, { matrix, input: normed, output: logits, maxTokens: 1, label: `${label}.ffn_gate_inp` }),
    ...router(ctx, one),
  ];
}

function routeInOne(ctx: OpContext, args: RouteTokenArgs): Dispatch {
  const { matrix, expertCount, expertsPerToken, width, epsilon, mode, layer } = args;
  const { layout } = matrix;
  const kernel = weightKernel(
    'route token',
    layout.type,
    {},
    ...SELECT_CODE,
    totalCode,
    normScaleCode,
    normWeightsCode,
    routeTokenCode,
  );
  return ctx.pipelines.dispatch(
    kernel,
    {
      WIDTH: width,
      BLOCKS: runsPerRow(layout),
      ...planeOverrides(layout, 'P'),
      EPSILON: epsilon,
      EXPERTS: expertCount,
      K: expertsPerToken,
      LOOKUP: mode === 'decode' ? 1 : 0,
      WORKGROUP,
    },
    [
      ctx.state,
      args.residual.slice,
      args.normWeight,
      matrix.slice,
      args.normed.slice,
      args.logits.slice,
      args.selectedExperts,
      args.routingWeights,
      args.slotTable,
      args.groups,
      constants(ctx.pipelines.device, layer),
    ],
    [1, 1, 1],
    args.label,
  );
}
