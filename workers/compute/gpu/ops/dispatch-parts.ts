/** Calls of kernels that a slow GPU gets in several dispatches: one dimension of their grid is cut. */
import type { Dispatch, DispatchParts, Slice } from '../dispatch.ts';
import { MAX_WORKGROUPS } from '../slicing.ts';
import { constants } from './constants.ts';
import type { OpContext } from './context.ts';

/** What {@link OpContext.pipelines} needs for a call. */
type Call = Parameters<OpContext['pipelines']['dispatch']>;

export interface PartsArgs {
  kernel: Call[0];
  overrides: Call[1];
  /** The bindings before the uniform that says where the grid starts. */
  before: readonly Slice[];
  /** The words of the uniform in front of the start. */
  words?: readonly number[];
  /** The bindings after it. */
  after?: readonly Slice[];
  /** Workgroups in the dimension that can be cut. */
  count: number;
  /** The grid of `count` workgroups. */
  grid: (count: number, folds: number) => Call[3];
  /** Whether workgroups that are too many for one dimension are folded, `folds` times. Default: `folds` is 1. */
  foldable?: boolean;
  label: string;
}

/**
 * Records a call whose grid can be cut in one dimension.
 * @throws MixtabError `gpu-limit` if the whole grid exceeds the limits of the adapter
 */
export function dispatchParts(ctx: OpContext, args: PartsArgs): Dispatch & { parts: DispatchParts } {
  const { before, words = [], after = [], count } = args;
  const record = (first: number, own: number): Dispatch => {
    const start = constants(ctx.pipelines.device, ...words, first);
    const folds = args.foldable ? Math.ceil(own / MAX_WORKGROUPS) : 1;
    const grid = args.grid(Math.ceil(own / folds), folds);
    return ctx.pipelines.dispatch(args.kernel, args.overrides, [...before, start, ...after], grid, args.label);
  };
  const recorded = new Map<string, Dispatch>();
  const slice = (first: number, own: number): Dispatch => {
    const key = `${first} ${own}`;
    const known = recorded.get(key) ?? record(first, own);
    recorded.set(key, known);
    return known;
  };
  return { ...record(0, count), parts: { count, slice } };
}
