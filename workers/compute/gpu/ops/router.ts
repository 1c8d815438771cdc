import groupsCode from '../../../../shaders/lib/groups.wgsl?raw';
import orderedKeyCode from '../../../../shaders/lib/ordered_key.wgsl?raw';
import routerNoiseCode from '../../../../shaders/lib/router_noise.wgsl?raw';
import selectExpertsCode from '../../../../shaders/lib/select_experts.wgsl?raw';
import threefryCode from '../../../../shaders/lib/threefry.wgsl?raw';
import routerCode from '../../../../shaders/router.wgsl?raw';
import type { Dispatch, Slice } from '../dispatch.ts';
import type { KernelSource } from '../pipelines.ts';
import { STEP_STATE_WGSL } from '../step-state.ts';
import { constants } from './constants.ts';
import type { Activations, OpContext } from './context.ts';

/** The libs of a kernel that selects experts. */
export const SELECT_CODE: readonly string[] = [
  STEP_STATE_WGSL,
  groupsCode,
  orderedKeyCode,
  threefryCode,
  routerNoiseCode,
  selectExpertsCode,
];

const KERNEL: KernelSource = { name: 'router', code: [...SELECT_CODE, routerCode] };

/** The kernel keeps the experts of a token in registers. Mixtral selects 2 experts, the largest known number is 8. */
export const MAX_EXPERTS_PER_TOKEN = 16;

/**
 * - `prefill`: selects experts and weights for many tokens.
 * - `select`: selects experts and weights for one token in decode, where the lossy options apply.
 * - `decode`: as `select`; also looks up the slots of the experts, writes the groups, and stalls the step if one is
 *   missing.
 */
export type RouterMode = 'prefill' | 'select' | 'decode';

export interface RouterArgs {
  /** f32[maxTokens, expertCount] */
  logits: Activations;
  expertCount: number;
  expertsPerToken: number;
  layer: number;
  maxTokens: number;
  mode: RouterMode;
  /** u32[maxTokens, expertsPerToken]; written even if the step stalls. */
  selectedExperts: Slice;
  /** f32[maxTokens, expertsPerToken] */
  routingWeights: Slice;
  /** u32[layerCount, expertCount]: slot or NO_SLOT. */
  slotTable: Slice;
  /** The work list of the expert kernels (MAX_GROUPS in context.ts); written in mode `decode` only. */
  groups: Slice;
  label: string;
}

/**
 * Selects the experts of each token and their weights. In mode `decode` it also looks up their slots, or sets
 * `state.stalled` to layer + 1 if one is missing.
 */
export function router(ctx: OpContext, args: RouterArgs): Dispatch[] {
  const { logits, expertCount, expertsPerToken, layer, maxTokens, mode } = args;
  if (expertsPerToken < 1 || expertsPerToken > Math.min(MAX_EXPERTS_PER_TOKEN, expertCount)) {
    throw new RangeError(`${expertsPerToken} of ${expertCount} experts`);
  }
  if (mode !== 'prefill' && maxTokens !== 1) throw new RangeError('decode routes one token');
  const workgroup = mode === 'prefill' ? 32 : 1;
  return [
    ctx.pipelines.dispatch(
      KERNEL,
      {
        EXPERTS: expertCount,
        K: expertsPerToken,
        STRIDE: logits.stride,
        LOOKUP: mode === 'decode' ? 1 : 0,
        DECODE: mode === 'prefill' ? 0 : 1,
        WORKGROUP: workgroup,
      },
      [
        ctx.state,
        logits.slice,
        args.selectedExperts,
        args.routingWeights,
        args.slotTable,
        args.groups,
        constants(ctx.pipelines.device, layer),
      ],
      [Math.ceil(maxTokens / workgroup), 1, 1],
      args.label,
    ),
  ];
}
