/**
 * Causal, grouped-query attention over the KV cache, split over the context: scores, softmax within
 * chunks of positions, weighted values of each chunk, and the chunks put together. Chunks have a fixed
 * length, so the result does not depend on the cache's capacity, and a token gives the same result
 * alone and within a batch.
 */
import combineCode from '../../../../shaders/attention_combine.wgsl?raw';
import scoresCode from '../../../../shaders/attention_scores.wgsl?raw';
import scoresWideCode from '../../../../shaders/attention_scores_wide.wgsl?raw';
import softmaxCode from '../../../../shaders/attention_softmax.wgsl?raw';
import valuesCode from '../../../../shaders/attention_values.wgsl?raw';
import valuesWideCode from '../../../../shaders/attention_values_wide.wgsl?raw';
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
import { constants } from './constants.ts';
import type { Activations, OpContext } from './context.ts';

/** Positions in a chunk: CHUNK in attention_batch.wgsl. */
const CHUNK = 128;
/** A batch of tokens whose scores would take more is cut into smaller batches, run one after another. */
const SCRATCH_LIMIT: Bytes = 32 * 1024 * 1024;
const WORKGROUP = 64;

/** Query rows that a thread takes at once, with the lib files that say so. */
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
    scoresWide: kernel('attention_scores_wide', BLOCK_CODE[rows], scoresWideCode),
    softmax: kernel('attention_softmax', softmaxCode),
    values: kernel('attention_values', valuesCode),
    valuesWide: kernel('attention_values_wide', valuesWideCode),
    combine: kernel('attention_combine', combineCode),
  };
};
const KERNELS = { 1: kernels(1), 2: kernels(2), 4: kernels(4) };

export interface AttentionArgs {
  /** f32[maxTokens, headCount * headDim], rotated. */
  q: Activations;
  /** u32[capacity, kvHeadCount, headDim / 2], f16 pairs; the batch's own keys and values are already there. */
  keyCache: Slice;
  valueCache: Slice;
  /** f32[maxTokens, headCount * headDim] */
  output: Activations;
  /** At least {@link attentionScratchBytes} for this capacity or a larger one. */
  scratch: Slice;
  headCount: number;
  kvHeadCount: number;
  /** Even. */
  headDim: number;
  /** Positions the cache holds. */
  capacity: number;
  maxTokens: number;
  label: string;
}

export type AttentionShape = Pick<AttentionArgs, 'headCount' | 'headDim' | 'capacity' | 'maxTokens'>;

/** Byte sizes of the three regions of scratch memory for `tokens` tokens, and where they begin. */
function regions({ headCount, headDim, capacity }: Omit<AttentionShape, 'maxTokens'>, tokens: number) {
  // Rows fill up to blocks of 1, 2 or 4 in each KV head: by 3 at most, and from 5 to 8 at worst.
  const rows = Math.ceil(headCount * Math.min(tokens + 3, tokens * 1.6));
  const chunks = Math.ceil(capacity / CHUNK);
  const align = (bytes: Bytes): Bytes => Math.ceil(bytes / 256) * 256;
  const scores = align(rows * capacity * 4);
  const stats = align(rows * chunks * 2 * 4);
  const partial = align(rows * chunks * headDim * 4);
  return { scores, stats, partial, total: scores + stats + partial };
}

/** Tokens, at least 1, that fit into `bytes` of scratch memory at once. */
function tokensThatFit(shape: AttentionShape, bytes: Bytes): number {
  const one = regions(shape, 1).total;
  const each = (regions(shape, 1001).total - one) / 1000;
  let tokens = Math.min(shape.maxTokens, Math.max(1, Math.floor((bytes - one) / each) + 1));
  while (tokens > 1 && regions(shape, tokens).total > bytes) tokens--;
  return tokens;
}

/** Bytes of scratch memory that {@link attention} wants: at most 32 MiB, or what one token needs. */
export function attentionScratchBytes(shape: AttentionShape): Bytes {
  return regions(shape, tokensThatFit(shape, SCRATCH_LIMIT)).total;
}

/** `output[t, h] = softmax(q[t, h] . K / sqrt(headDim)) V` over positions 0 .. state.position + t. */
export function attention(ctx: OpContext, args: AttentionArgs): Dispatch[] {
  const { headCount, kvHeadCount, headDim, maxTokens, scratch } = args;
  if (headDim % 2 || headCount % kvHeadCount) {
    throw new RangeError(`${headCount} heads, ${kvHeadCount} KV heads, head dimension ${headDim}`);
  }
  const batchTokens = tokensThatFit(args, scratch.size);
  if (regions(args, batchTokens).total > scratch.size) {
    throw new RangeError(`attention needs ${regions(args, 1).total} bytes of scratch memory, has ${scratch.size}`);
  }
  const dispatches: Dispatch[] = [];
  for (let first = 0; first < maxTokens; first += batchTokens) {
    dispatches.push(...attentionBatch(ctx, args, first, batchTokens));
  }
  return dispatches;
}

/** Tokens first .. first + tokens - 1 of the step. */
function attentionBatch(ctx: OpContext, args: AttentionArgs, first: number, tokens: number): Dispatch[] {
  const { q, keyCache, valueCache, output, scratch, headCount, kvHeadCount, headDim, capacity, label } = args;
  const queryRows = (tokens * headCount) / kvHeadCount;
  const rowCount: RowCount = queryRows > 2 ? 4 : queryRows === 2 ? 2 : 1;
  const rowBlocks = Math.ceil(queryRows / rowCount);
  const chunks = Math.ceil(capacity / CHUNK);

  const sizes = regions(args, tokens);
  const region = (offset: Bytes, size: Bytes): Slice => ({
    buffer: scratch.buffer,
    offset: scratch.offset + offset,
    size,
  });
  const scores = region(0, sizes.scores);
  const stats = region(sizes.scores, sizes.stats);
  const partial = region(sizes.scores + sizes.stats, sizes.partial);

  // 16-byte loads where a head is made of them. Threads that do more share loads, but there are fewer.
  const wide = headDim % 8 === 0;
  const fewThreads = wide && ctx.variant === 'rows';
  const positions = fewThreads ? 4 : 1;
  const kernel = KERNELS[rowCount];
  const shape = { HEADS: headCount, KV_HEADS: kvHeadCount, HEAD_DIM: headDim, WORKGROUP };
  const batch = constants(ctx.pipelines.device, first, tokens, rowBlocks, capacity);
  const groups = (threads: number): number => Math.ceil(threads / WORKGROUP);
  const values = fewThreads
    ? [
        ctx.pipelines.dispatch(
          kernel.valuesWide,
          shape,
          [ctx.state, batch, scores, valueCache, partial, stats],
          [groups((kvHeadCount * headDim) / 8), chunks, rowBlocks],
          label,
        ),
      ]
    : [
        ctx.pipelines.dispatch(
          kernel.softmax,
          shape,
          [ctx.state, batch, scores, stats],
          [groups(chunks), rowBlocks, kvHeadCount],
          label,
        ),
        ctx.pipelines.dispatch(
          kernel.values,
          shape,
          [ctx.state, batch, scores, valueCache, partial],
          [groups((kvHeadCount * headDim) / 2), chunks, rowBlocks],
          label,
        ),
      ];
  return [
    ctx.pipelines.dispatch(
      wide ? kernel.scoresWide : kernel.scores,
      wide ? { ...shape, Q_STRIDE: q.stride, POSITIONS: positions } : { ...shape, Q_STRIDE: q.stride },
      [ctx.state, batch, q.slice, keyCache, scores],
      [groups(capacity / positions), rowBlocks, kvHeadCount],
      label,
    ),
    ...values,
    ctx.pipelines.dispatch(
      kernel.combine,
      { ...shape, OUTPUT_STRIDE: output.stride },
      [ctx.state, batch, stats, partial, output.slice],
      [groups(headCount * headDim), tokens, 1],
      label,
    ),
  ];
}
