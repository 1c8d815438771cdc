/**
 * Flash attention: one kernel computes the scores, the softmax and the weighted values of a chunk. A single token is
 * split over the chunks of its context, and a second kernel merges them. In prompts a workgroup loops over the chunks.
 */
import flashCode from '../../../../shaders/attention_flash.wgsl?raw';
import reduceCode from '../../../../shaders/attention_flash_reduce.wgsl?raw';
import narrowCode from '../../../../shaders/lib/flash_keys_narrow.wgsl?raw';
import wideCode from '../../../../shaders/lib/flash_keys_wide.wgsl?raw';
import rowsCode from '../../../../shaders/lib/flash_rows.wgsl?raw';
import tileCode from '../../../../shaders/lib/flash_tile.wgsl?raw';
import type { Bytes } from '../../../../src/contract/ids.ts';
import type { Dispatch } from '../dispatch.ts';
import type { KernelSource } from '../pipelines.ts';
import { STEP_STATE_WGSL } from '../step-state.ts';
import type { AttentionArgs, AttentionShape } from './attention-args.ts';
import type { OpContext } from './context.ts';
import { dispatchParts } from './dispatch-parts.ts';

/** Positions per chunk, and threads per share of a tile: they must match CHUNK and LANES in shaders/lib/flash_*.wgsl. */
const CHUNK = 64;
const LANES = 64;
const REDUCE_WORKGROUP = 64;
/** Query rows of a tile times the head dimension: 8 KiB of workgroup memory, half of WebGPU's default limit. */
const TILE_FLOATS = 2048;

const REDUCE: KernelSource = { name: 'attention_flash_reduce', code: [STEP_STATE_WGSL, rowsCode, reduceCode] };

/** How a tile of query rows is divided: `shares` times 64 threads, each with `rowVectors` times four rows. */
interface Tile {
  rowVectors: 1 | 2;
  shares: 1 | 2;
}

/** The smallest tile for the rows of a single token; for a prompt the largest that fits into workgroup memory. */
function tileOf({ headCount, kvHeadCount, headDim, maxTokens }: AttentionArgs): Tile {
  const rows = maxTokens === 1 ? headCount / kvHeadCount : Number.POSITIVE_INFINITY;
  if (rows <= 4) return { rowVectors: 1, shares: 1 };
  return { rowVectors: 2, shares: rows <= 8 || 16 * headDim > TILE_FLOATS ? 1 : 2 };
}

function flashKernel(headDim: number, { rowVectors }: Tile): KernelSource {
  const wide = headDim % 8 === 0;
  const pairs = Math.ceil(headDim / 2 / LANES);
  const sizes = [
    `const ROW_VECS = ${rowVectors}u;`,
    `const PAIRS = ${pairs}u;`,
    `const VALUE_VECS = ${rowVectors * pairs}u;`,
  ];
  return {
    name: `attention_flash ${wide ? 'wide' : 'narrow'} ${rowVectors}x${pairs}`,
    code: [...sizes, STEP_STATE_WGSL, rowsCode, tileCode, wide ? wideCode : narrowCode, flashCode],
  };
}

/** Bytes of scratch memory for {@link flashAttention}: the chunks of one token. */
export const flashScratchBytes = ({ headCount, headDim, capacity }: AttentionShape): Bytes =>
  headCount * Math.ceil(capacity / CHUNK) * (1 + headDim / 2) * 8;

/**
 * `output[t, h] = softmax(q[t, h] . K / sqrt(headDim)) V` over positions 0 .. state.position + t.
 * @throws RangeError if the scratch memory is too small for one token
 */
export function flashAttention(ctx: OpContext, args: AttentionArgs): Dispatch[] {
  const { q, keyCache, valueCache, output, scratch, headCount, kvHeadCount, headDim, capacity, maxTokens } = args;
  if (flashScratchBytes(args) > scratch.size) {
    throw new RangeError(`attention needs ${flashScratchBytes(args)} bytes of scratch memory, but has ${scratch.size}`);
  }
  const tile = tileOf(args);
  const split = maxTokens === 1;
  const shape = { HEADS: headCount, KV_HEADS: kvHeadCount, HEAD_DIM: headDim, OUTPUT_STRIDE: output.stride };
  const tileRows = 4 * tile.rowVectors * tile.shares;
  const tiles = Math.ceil((maxTokens * headCount) / kvHeadCount / tileRows);
  const call = dispatchParts(ctx, {
    kernel: flashKernel(headDim, tile),
    overrides: {
      ...shape,
      Q_STRIDE: q.stride,
      SHARES: tile.shares,
      SPLIT: split ? 1 : 0,
      WORKGROUP: LANES * tile.shares,
    },
    before: [ctx.state, q.slice, keyCache, valueCache, output.slice, scratch],
    count: tiles,
    grid: (count) => [split ? Math.ceil(capacity / CHUNK) : 1, count, kvHeadCount],
    label: args.label,
  });
  const flash = { ...call, cost: 2 * maxTokens * headCount * headDim * (args.positions ?? capacity) };
  if (!split) return [flash];
  const reduce = ctx.pipelines.dispatch(
    REDUCE,
    { ...shape, WORKGROUP: REDUCE_WORKGROUP },
    [ctx.state, scratch, output.slice],
    [Math.ceil((headCount * headDim) / 2 / REDUCE_WORKGROUP), maxTokens, 1],
    args.label,
  );
  return [flash, reduce];
}
