/**
 * Causal grouped-query attention over the KV cache, split into chunks of positions: scores, softmax within each chunk,
 * weighted values of each chunk, and the combination of the chunks. Chunks have a fixed length, so that the result
 * depends neither on the capacity of the cache nor on the batch that a token is computed in.
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
import type { KernelSource, Overrides } from '../pipelines.ts';
import { STEP_STATE_WGSL } from '../step-state.ts';
import { constants } from './constants.ts';
import type { Activations, OpContext } from './context.ts';

/** Positions per chunk: it must match CHUNK in attention_batch.wgsl. */
const CHUNK = 128;
/** If the scores of all tokens exceed this limit, the tokens are computed in smaller batches, one after the other. */
const SCRATCH_LIMIT: Bytes = 32 * 1024 * 1024;
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
  /** u32[capacity, kvHeadCount, headDim / 2], packed pairs of f16, including the keys of the batch. */
  keyCache: Slice;
  /** u32[capacity, kvHeadCount, headDim / 2], packed pairs of f16, including the values of the batch. */
  valueCache: Slice;
  /** f32[maxTokens, headCount * headDim] */
  output: Activations;
  /** At least {@link attentionScratchBytes} long, for this capacity or a larger one. */
  scratch: Slice;
  headCount: number;
  kvHeadCount: number;
  /** Even. */
  headDim: number;
  /** Positions that the cache has room for. */
  capacity: number;
  maxTokens: number;
  label: string;
}

export type AttentionShape = Pick<AttentionArgs, 'headCount' | 'headDim' | 'capacity' | 'maxTokens'>;

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

/** Bytes of scratch memory for {@link attention}: at most 32 MiB, unless one token alone needs more. */
export function attentionScratchBytes(shape: AttentionShape): Bytes {
  return regions(shape, tokensThatFit(shape, SCRATCH_LIMIT)).total;
}

/**
 * `output[t, h] = softmax(q[t, h] . K / sqrt(headDim)) V` over positions 0 .. state.position + t.
 * @throws RangeError if the shape is unsupported or the scratch memory is too small for one token
 */
export function attention(ctx: OpContext, args: AttentionArgs): Dispatch[] {
  const { headCount, kvHeadCount, headDim, maxTokens, scratch } = args;
  if (headDim % 2 || headCount % kvHeadCount) {
    throw new RangeError(`${headCount} heads, ${kvHeadCount} KV heads, head dimension ${headDim}`);
  }
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

  // 16-byte loads if the head dimension allows them. A thread that computes more shares loads, but there are fewer
  // threads.
  const wide = headDim % 8 === 0;
  const fewThreads = wide && ctx.variant === 'rows';
  const positions = fewThreads ? 4 : 1;
  const kernel = KERNELS[rowCount];
  const shape = { HEADS: headCount, KV_HEADS: kvHeadCount, HEAD_DIM: headDim, WORKGROUP };
  const batch = constants(ctx.pipelines.device, first, tokens, rowBlocks, capacity);
  const groups = (threads: number): number => Math.ceil(threads / WORKGROUP);
  const dispatch = (
    code: KernelSource,
    slices: Slice[],
    grid: [number, number, number],
    overrides: Overrides = shape,
  ): Dispatch => ctx.pipelines.dispatch(code, overrides, slices, grid, label);
  const values = fewThreads
    ? [
        dispatch(
          kernel.valuesWide,
          [ctx.state, batch, scores, valueCache, partial, stats],
          [groups((kvHeadCount * headDim) / 8), chunks, rowBlocks],
        ),
      ]
    : [
        dispatch(kernel.softmax, [ctx.state, batch, scores, stats], [groups(chunks), rowBlocks, kvHeadCount]),
        dispatch(
          kernel.values,
          [ctx.state, batch, scores, valueCache, partial],
          [groups((kvHeadCount * headDim) / 2), chunks, rowBlocks],
        ),
      ];
  const scoreShape = { ...shape, Q_STRIDE: q.stride, ...(wide && { POSITIONS: positions }) };
  return [
    dispatch(
      wide ? kernel.scoresWide : kernel.scores,
      [ctx.state, batch, q.slice, keyCache, scores],
      [groups(capacity / positions), rowBlocks, kvHeadCount],
      scoreShape,
    ),
    ...values,
    dispatch(
      kernel.combine,
      [ctx.state, batch, stats, partial, output.slice],
      [groups(headCount * headDim), tokens, 1],
      { ...shape, OUTPUT_STRIDE: output.stride },
    ),
  ];
}
