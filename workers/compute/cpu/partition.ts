/**
 * Which rows of each matrix a thread computes. Every matrix is cut by rows: a thread's part is then one range of each
 * plane, and no result depends on the number of threads (docs/cpu-backend.md). Pure.
 */
import type { ModelConfig } from '../../../src/contract/import-api.ts';
import { type RecordSlice, type RowRange, sliceRecord } from '../../format/slices.ts';
import type { TensorLayout } from '../../format/weight-layout.ts';

/** The attention heads of one thread: some query heads, and the key and value heads that they use. */
export interface HeadRange {
  firstQuery: number;
  queries: number;
  firstKv: number;
  kvs: number;
}

/** The kernels compute four rows together. */
const ROWS_AT_ONCE = 4;

/** The part of `count` things that belongs to one of `threads` threads, in units of `unit`; sizes differ by one unit. */
export function evenPart(count: number, threads: number, thread: number, unit = ROWS_AT_ONCE): RowRange {
  const units = Math.ceil(count / unit);
  const boundary = (index: number): number => Math.min(count, Math.floor((units * index) / threads) * unit);
  return { from: boundary(thread), to: boundary(thread + 1) };
}

/**
 * The heads of one thread. Whole groups that share a key and value head stay together if there are enough of them for
 * all threads. Otherwise several threads compute and keep the same key and value head.
 */
export function headsOf({ headCount, kvHeadCount }: ModelConfig, threads: number, thread: number): HeadRange {
  const group = headCount / kvHeadCount;
  const { from, to } = evenPart(headCount, threads, thread, threads <= kvHeadCount ? group : 1);
  if (from === to) return { firstQuery: 0, queries: 0, firstKv: 0, kvs: 0 };
  const firstKv = Math.floor(from / group);
  return { firstQuery: from, queries: to - from, firstKv, kvs: Math.ceil(to / group) - firstKv };
}

/** Tensors whose rows are divided evenly. */
const EVEN = new Set(['attn_output', 'gate', 'up', 'down', 'output']);

/** The rows of a tensor that a thread computes; none of a tensor that only the engine uses. */
function rowsOf({ name, rows }: TensorLayout, config: ModelConfig, threads: number, thread: number): RowRange {
  const { headDim } = config;
  const { firstQuery, queries, firstKv, kvs } = headsOf(config, threads, thread);
  if (name === 'attn_q') return { from: firstQuery * headDim, to: (firstQuery + queries) * headDim };
  if (name === 'attn_k' || name === 'attn_v') return { from: firstKv * headDim, to: (firstKv + kvs) * headDim };
  return EVEN.has(name) ? evenPart(rows, threads, thread) : { from: 0, to: 0 };
}

/** Cuts a record for all threads. */
export function slicesOf(tensors: readonly TensorLayout[], config: ModelConfig, threads: number): RecordSlice[] {
  const ofThread = (thread: number): RowRange[] => tensors.map((tensor) => rowsOf(tensor, config, threads, thread));
  return sliceRecord(
    tensors,
    Array.from({ length: threads }, (_, thread) => ofThread(thread)),
  );
}
