/** How work is cut so that no piece takes a GPU too long. Pure. */
import type { Dispatch } from './dispatch.ts';

/** Multiply-adds that take a GPU about as long as reading one weight from its memory. */
const READ_COST = 8;

/**
 * The work of a matrix product: multiply-adds, and as many again as reading the weights is worth.
 * @param inputs that are multiplied with each weight
 * @param reads how often each weight is read from memory; default: once
 */
export const productCost = (weights: number, inputs: number, reads = 1): number =>
  weights * (inputs + READ_COST * reads);

/** The work of several dispatches together. */
export const costOf = (dispatches: readonly Pick<Dispatch, 'cost'>[]): number =>
  dispatches.reduce((sum, { cost = 0 }) => sum + cost, 0);

/** Cuts a list into parts of at most `limit` work each. An item that is more than that is a part of its own. */
export function cutByCost<T extends Pick<Dispatch, 'cost'>>(items: readonly T[], limit: number): T[][] {
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

/** WebGPU's default limit on workgroups per dimension. */
export const MAX_WORKGROUPS = 65535;

/**
 * Cuts a dispatch into several of at most `limit` work each, as far as it can be cut. Each computes what the whole one
 * would, so no result depends on it.
 */
export function cutDispatch(dispatch: Dispatch, limit: number): Dispatch[] {
  const { cost = 0, parts, ...rest } = dispatch;
  if (cost <= limit || !parts) return [dispatch];
  // Powers of two, so that a rate that is learned anew needs few other bind groups.
  const pieces = 2 ** Math.ceil(Math.log2(cost / limit));
  const size = Math.min(Math.max(1, Math.floor(parts.count / pieces)), MAX_WORKGROUPS);
  return Array.from({ length: Math.ceil(parts.count / size) }, (_, piece) => {
    const first = piece * size;
    const count = Math.min(size, parts.count - first);
    return { ...rest, ...parts.slice(first, count), cost: (cost * count) / parts.count };
  });
}
