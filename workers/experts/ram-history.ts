/** Whether tabs have survived the main memory that was kept for experts, remembered per adapter. Pure. */
import type { Bytes } from '../../src/contract/ids.ts';

/** How long a loss counts. It may have had another cause. */
const LOSS_COUNTS_MS = 24 * 60 * 60 * 1000;

/** Times are those of `Date.now`. */
export interface RamHistory {
  /** The automatic budget of the model that was loaded last, and when. */
  used?: { bytes: Bytes; at: number };
  /** After a tab ended with it: the limit for a day. */
  loss?: { at: number; budget: Bytes };
}

/** The most that a tab may use now; infinite without a loss. */
export const ramLimit = ({ loss }: RamHistory, now: number): Bytes =>
  loss && now - loss.at < LOSS_COUNTS_MS ? loss.budget : Number.POSITIVE_INFINITY;

/** Before a model is loaded with an automatic budget. The memory fills while the model answers. */
export const whileUsed = (history: RamHistory, bytes: Bytes, now: number): RamHistory => ({
  ...history,
  used: { bytes, at: now },
});

/**
 * At the start of a load: if a tab has used the budget and no page was closed since, the tab did not end by itself, and
 * half of the budget is the limit.
 * @param startedAt when this worker was started: what it has used itself has not ended
 * @param closedAt when the user last closed a page or ended its worker
 */
export function afterRestart(
  history: RamHistory,
  { now, startedAt, closedAt = 0 }: { now: number; startedAt: number; closedAt?: number | undefined },
): RamHistory {
  const { used, ...rest } = history;
  if (!used || used.at >= startedAt || closedAt >= used.at) return rest;
  return { loss: { at: now, budget: Math.floor(used.bytes / 2) } };
}

const isAmount = (value: unknown): value is number => typeof value === 'number' && value >= 0;

/** A history that was stored, without the parts that are not of the form that this version writes. */
export function readRamHistory(value: unknown): RamHistory {
  const { used, loss } = (value ?? {}) as { used?: Record<string, unknown>; loss?: Record<string, unknown> };
  return {
    ...(isAmount(used?.bytes) && isAmount(used.at) && { used: { bytes: used.bytes, at: used.at } }),
    ...(isAmount(loss?.at) && isAmount(loss.budget) && { loss: { at: loss.at, budget: loss.budget } }),
  };
}
