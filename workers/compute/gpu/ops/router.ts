import groupsCode from '../../../../shaders/lib/groups.wgsl?raw';
import orderedKeyCode from '../../../../shaders/lib/ordered_key.wgsl?raw';
import threefryCode from '../../../../shaders/lib/threefry.wgsl?raw';
import routerCode from '../../../../shaders/router.wgsl?raw';
import type { Dispatch, Slice } from '../dispatch.ts';
import type { KernelSource } from '../pipelines.ts';
import { STEP_STATE_WGSL } from '../step-state.ts';
import { constants } from './constants.ts';
import type { Activations, OpContext } from './context.ts';

const KERNEL: KernelSource = {
  name: 'router',
  code: [STEP_STATE_WGSL, groupsCode, orderedKeyCode, threefryCode, routerCode],
};

/** The kernel keeps a token's choices in registers; Mixtral takes 2, the widest known models 8. */
export const MAX_EXPERTS_PER_TOKEN = 16;

export type RouterMode = 'prefill' | 'choose' | 'decode';

export interface RouterArgs {
  /** f32[maxTokens, expertCount] */
  logits: Activations;
  expertCount: number;
  expertsPerToken: number;
  layer: number;
  maxTokens: number;
  /**
   * `prefill`: choices and weights only. `choose`: the same for one token in decode, where lossy options count.
   * `decode`: that, and the slots of what is chosen.
   */
  mode: RouterMode;
  /** u32[maxTokens, expertsPerToken]; in decode written even where the step stalls. */
  selectedExperts: Slice;
  /** f32[maxTokens, expertsPerToken] */
  routingWeights: Slice;
  /** u32[layerCount, expertCount]: slot or NO_SLOT. */
  slotTable: Slice;
  /** Written with `decode`: see context.ts. */
  groups: Slice;
  label: string;
}

/** Chooses the experts of each token; `decode` finds their slots too, or sets `state.stalled` to layer + 1. */
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
