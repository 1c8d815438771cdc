/** How work is cut so that no piece takes a GPU too long. Pure. */
import type { ExpertGroup } from '../../experts/grouping.ts';

/** Multiply-adds that take a GPU about as long as reading one weight from its memory. */
const READ_COST = 8;

/**
 * The work of a matrix product: multiply-adds, and as many again as reading the weights is worth.
 * @param inputs that are multiplied with each weight
 * @param reads how often each weight is read from memory; default: once
 */
export const productCost = (weights: number, inputs: number, reads = 1): number =>
  weights * (inputs + READ_COST * reads);

/** Cuts a list into parts of at most `limit` work each. An item that is more than that is a part of its own. */
export function cutByCost<T extends { cost?: number }>(items: readonly T[], limit: number): T[][] {
  const parts: T[][] = [];
  let sum = Number.POSITIVE_INFINITY;
  for (const item of items) {
    const { cost = 0 } = item;
    if (sum + cost > limit) {
      parts.push([]);
      sum = 0;
    }
    parts.at(-1)!.push(item);
    sum += cost;
  }
  return parts;
}

/** Kernels take at least this many assignments of a group at once, so fewer take as long. */
const LEAST_ASSIGNMENTS = 4;
/** Most kernels take as many at once. */
const TILE = 32;

/**
 * How many assignments a dispatch may have: a multiple of what a kernel takes at once.
 * @param cost of one assignment
 * @param limit the most work of one dispatch
 */
export function assignmentsWithin(cost: number, limit: number): number {
  const most = Math.floor(limit / cost);
  const unit = most >= TILE ? TILE : LEAST_ASSIGNMENTS;
  return Math.max(unit, Math.floor(most / unit) * unit);
}

/** Cuts groups into lists of at most `most` assignments each, in their order. A group may be cut, too. */
export function sliceGroups(groups: readonly ExpertGroup[], most: number): ExpertGroup[][] {
  const slices: ExpertGroup[][] = [];
  let room = 0;
  for (const { expert, assignments } of groups) {
    for (let start = 0; start < assignments.length; ) {
      if (room === 0) {
        slices.push([]);
        room = most;
      }
      const part = assignments.slice(start, start + room);
      slices.at(-1)!.push({ expert, assignments: part });
      start += part.length;
      room -= part.length;
    }
  }
  return slices;
}

/** The fewest tokens of a chunk: with fewer, reading the weights would cost more than multiplying them. */
export const LEAST_CHUNK = 32;

/** The sizes of a model that decide how long the dispatches of a chunk take, besides those of experts. */
export interface ChunkShape {
  embeddingLength: number;
  headCount: number;
  headDim: number;
  /** The most positions that a token attends to. */
  context: number;
}

/**
 * How many tokens of a prompt may go through a kernel together: a power of two, so that a rate that is measured again
 * and differs a little changes nothing.
 * @param maxTokens what the buffers have room for
 * @param limit the most work of one dispatch
 */
export function chunkTokens(
  { embeddingLength, headCount, headDim, context }: ChunkShape,
  maxTokens: number,
  limit: number,
) {
  const width = headCount * headDim;
  const perToken = Math.max(embeddingLength * width, 2 * context * width);
  if (perToken * maxTokens <= limit) return maxTokens;
  return Math.min(maxTokens, Math.max(LEAST_CHUNK, 2 ** Math.floor(Math.log2(limit / perToken))));
}
