import packHalvesCode from '../../../../shaders/lib/pack_halves.wgsl?raw';
import ropeStoreCode from '../../../../shaders/rope_store.wgsl?raw';
import type { Dispatch, Slice } from '../dispatch.ts';
import type { KernelSource } from '../pipelines.ts';
import { STEP_STATE_WGSL } from '../step-state.ts';
import type { Activations, OpContext } from './context.ts';

const KERNEL: KernelSource = { name: 'rope_store', code: [STEP_STATE_WGSL, packHalvesCode, ropeStoreCode] };
const WORKGROUP = 64;

export interface RopeAndStoreArgs {
  /** f32[maxTokens, headCount * headDim], rotated in place. */
  q: Activations;
  /** f32[maxTokens, kvHeadCount * headDim] */
  k: Activations;
  /** f32[maxTokens, kvHeadCount * headDim] */
  v: Activations;
  /** f32[positions, ropeDimensionCount / 2, 2] of (cos, sin): see `ropeTable`. */
  table: Slice;
  /** u32[capacity, kvHeadCount, headDim / 2]: packed pairs of f16, rounded to nearest even, magnitudes at most 65504. */
  keyCache: Slice;
  /** u32[capacity, kvHeadCount, headDim / 2]: packed pairs of f16, rounded to nearest even, magnitudes at most 65504. */
  valueCache: Slice;
  headCount: number;
  kvHeadCount: number;
  /** Even. */
  headDim: number;
  /** Even, at most headDim. */
  ropeDimensionCount: number;
  maxTokens: number;
  label: string;
}

/** Rotates q in place. Stores the rotated k, and v, in the cache at positions `state.position + t`. */
export function ropeAndStore(ctx: OpContext, args: RopeAndStoreArgs): Dispatch[] {
  const { q, k, v, table, keyCache, valueCache, headCount, kvHeadCount, headDim, ropeDimensionCount } = args;
  if (headDim % 2 || ropeDimensionCount % 2 || ropeDimensionCount > headDim) {
    throw new RangeError(`head dimension ${headDim} with ${ropeDimensionCount} rotated dimensions`);
  }
  const pairs = ((headCount + 2 * kvHeadCount) * headDim) / 2;
  return [
    ctx.pipelines.dispatch(
      KERNEL,
      {
        HEADS: headCount,
        KV_HEADS: kvHeadCount,
        HEAD_PAIRS: headDim / 2,
        ROPE_PAIRS: ropeDimensionCount / 2,
        Q_STRIDE: q.stride,
        K_STRIDE: k.stride,
        V_STRIDE: v.stride,
        WORKGROUP,
      },
      [ctx.state, q.slice, k.slice, v.slice, table, keyCache, valueCache],
      [Math.ceil(pairs / WORKGROUP), args.maxTokens, 1],
      args.label,
    ),
  ];
}
