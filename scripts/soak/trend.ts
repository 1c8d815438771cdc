/** Whether a series of measurements stays flat. */

/** How much a figure may grow: by a share of it, or by an absolute amount if that is more. */
export interface Allowance {
  share: number;
  amount: number;
}

/** The middle of a series, before and after. */
export interface Trend {
  /** Median of the second quarter. The first one is left out: caches fill, and code is compiled. */
  before: number;
  /** Median of the last quarter. */
  after: number;
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1];

/** @param values at least four, in their order */
export function trendOf(values: readonly number[]): Trend {
  const quarter = values.length >> 2;
  return { before: median(values.slice(quarter, 2 * quarter)), after: median(values.slice(-quarter)) };
}

/** Whether the figure has not grown by more than it may. */
export const isFlat = ({ before, after }: Trend, { share, amount }: Allowance): boolean =>
  after - before <= Math.max(share * before, amount);
