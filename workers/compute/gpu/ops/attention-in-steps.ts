/**
 * Attention in steps, for software adapters: the scores, then the softmax and weighted values of each chunk of
 * positions, then the combination of the chunks. No kernel has a barrier.
 */
import combineCode from '../../../../shaders/attention_combine.wgsl?raw';
import scoresCode from '../../../../shaders/attention_scores.wgsl?raw';
import valuesCode from '../../../../shaders/attention_values.wgsl?raw';
import batchCode from '../../../../shaders/lib/attention_batch.wgsl?raw';
import block1Code from '../../../../shaders/lib/query_block_1.wgsl?raw';
import block2Code from '../../../../shaders/lib/query_block_2.wgsl?raw';
import block4Code from '../../../../shaders/lib/query_block_4.wgsl?raw';
import rows1Code from '../../../../shaders/lib/query_rows_1.wgsl?raw';
import rows2Code from '../../../../shaders/lib/query_rows_2.wgsl?raw';
import rows4Code from '../../../../shaders/lib/query_rows_4.wgsl?raw';
import type { Bytes } from '../../../../src/contract/ids.ts';
import type { Dispatch, Slice } from '../dispatch.ts';
import type { KernelSource } from '../pipelines.ts';
import { STEP_STATE_WGSL } from '../step-state.ts';
import type { AttentionArgs, AttentionShape } from './attention-args.ts';
import { constants } from './constants.ts';
import type { OpContext } from './context.ts';

/** Positions per chunk: it must match CHUNK in attention_batch.wgsl. */
const CHUNK = 128;
/** If the scores of all tokens exceed this limit, the tokens are computed in smaller batches, one after the other. */
const SCRATCH_LIMIT: Bytes = 32 * 1024 * 1024;
/** Neighboring positions whose scores a thread computes: it must match attention_scores.wgsl. */
const POSITIONS_PER_THREAD = 4;
const WORKGROUP = 64;

/** The lib files for 1, 2 or 4 query rows per thread. */
const ROW_CODE = { 1: rows1Code, 2: rows2Code, 4: rows4Code } as const;
const BLOCK_CODE = { 1: block1Code, 2: block2Code, 4: block4Code } as const;
type RowCount = keyof typeof ROW_CODE;

const kernels = (rows: RowCount) => {
  const kernel = (name: string, ...code: string[]): KernelSource => ({
    name: `${name}_${rows}`,
    code: [STEP_STATE_WGSL, ROW_CODE[rows], batchCode, ...code],
  });
  return {
    scores: kernel('attention_scores', BLOCK_CODE[rows], scoresCode),
    values: kernel('attention_values', valuesCode),
    combine: kernel('attention_combine', combineCode),
  };
};
const KERNELS = { 1: kernels(1), 2: kernels(2), 4: kernels(4) };

/** The sizes of the three regions of scratch memory for `tokens` tokens, in bytes. */
function regions({ headCount, headDim, capacity }: Omit<AttentionShape, 'maxTokens'>, tokens: number) {
  // In each KV head, query rows are padded to blocks of 1, 2 or 4: by at most 3, and by at most 60 % (from 5 to 8).
  const rows = Math.ceil(headCount * Math.min(tokens + 3, tokens * 1.6));
  const chunks = Math.ceil(capacity / CHUNK);
  const align = (bytes: Bytes): Bytes => Math.ceil(bytes / 256) * 256;
  const scores = align(rows * capacity * 4);
  const stats = align(rows * chunks * 2 * 4);
  const partial = align(rows * chunks * headDim * 4);
  return { scores, stats, partial, total: scores + stats + partial };
}

/** The number of tokens, at least 1, whose scratch memory fits into `bytes`. */
function tokensThatFit(shape: AttentionShape, bytes: Bytes): number {
  const one = regions(shape, 1).total;
  const each = (regions(shape, 1001).total - one) / 1000;
  let tokens = Math.min(shape.maxTokens, Math.max(1, Math.floor((bytes - one) / each) + 1));
  while (tokens > 1 && regions(shape, tokens).total > bytes) tokens--;
  return tokens;
}

/** Bytes of scratch memory for {@link attentionInSteps}: at most 32 MiB, unless one token alone needs more. */
export function stepsScratchBytes(shape: AttentionShape): Bytes {
  return regions(shape, tokensThatFit(shape, SCRATCH_LIMIT)).total;
}

/**
 * `output[t, h] = softmax(q[t, h] . K / sqrt(headDim)) V` over positions 0 .. state.position + t. The head dimension is
 * a multiple of 8.
 * @throws RangeError if the scratch memory is too small for one token
 */
export function attentionInSteps(ctx: OpContext, args: AttentionArgs): Dispatch[] {
  const { maxTokens, scratch } = args;
  const batchTokens = tokensThatFit(args, scratch.size);
  if (regions(args, batchTokens).total > scratch.size) {
    throw new RangeError(`attention needs ${regions(args, 1).total} bytes of scratch memory, but has ${scratch.size}`);
  }
  const dispatches: Dispatch[] = [];
  for (let first = 0; first < maxTokens; first += batchTokens) {
    dispatches.push(...attentionBatch(ctx, args, first, batchTokens));
  }
  return dispatches;
}

/** The regions of the scratch memory for a batch of tokens. */
function scratchSlices(args: AttentionArgs, tokens: number): Record<'scores' | 'stats' | 'partial', Slice> {
  const { buffer, offset } = args.scratch;
  const sizes = regions(args, tokens);
  const region = (start: Bytes, size: Bytes): Slice => ({ buffer, offset: offset + start, size });
  return {
    scores: region(0, sizes.scores),
    stats: region(sizes.scores, sizes.stats),
    partial: region(sizes.scores + sizes.stats, sizes.partial),
  };
}

/** Computes the tokens first .. first + tokens - 1 of the step. */
function attentionBatch(ctx: OpContext, args: AttentionArgs, first: number, tokens: number): Dispatch[] {
  const { q, keyCache, valueCache, output, headCount, kvHeadCount, headDim, capacity, label } = args;
  const queryRows = (tokens * headCount) / kvHeadCount;
  const rowCount: RowCount = queryRows > 2 ? 4 : queryRows === 2 ? 2 : 1;
  const rowBlocks = Math.ceil(queryRows / rowCount);
  const chunks = Math.ceil(capacity / CHUNK);

  const { scores, stats, partial } = scratchSlices(args, tokens);

  const kernel = KERNELS[rowCount];
  const shape = { HEADS: headCount, KV_HEADS: kvHeadCount, HEAD_DIM: headDim, WORKGROUP };
  const batch = constants(ctx.pipelines.device, first, tokens, rowBlocks, capacity);
  const groups = (threads: number): number => Math.ceil(threads / WORKGROUP);
  return [
    ctx.pipelines.dispatch(
      kernel.scores,
      { ...shape, Q_STRIDE: q.stride },
      [ctx.state, batch, q.slice, keyCache, scores],
      [groups(capacity / POSITIONS_PER_THREAD), rowBlocks, kvHeadCount],
      label,
    ),
    ctx.pipelines.dispatch(
      kernel.values,
      shape,
      [ctx.state, batch, scores, valueCache, partial, stats],
      [groups((kvHeadCount * headDim) / 8), chunks, rowBlocks],
      label,
    ),
    ctx.pipelines.dispatch(
      kernel.combine,
      { ...shape, OUTPUT_STRIDE: output.stride },
      [ctx.state, batch, stats, partial, output.slice],
      [groups(headCount * headDim), tokens, 1],
      label,
    ),
  ];
}
