/** Whether tabs have survived the main memory that was kept for experts, remembered per adapter. Pure. */
import type { Bytes } from '../../src/contract/ids.ts';
import { KEPT_CLOSINGS } from '../../src/contract/page-facts.ts';
import { isAmount, LOSS_COUNTS_MS } from './stored-history.ts';
import type { WorkerEnds } from './worker-ends.ts';

/** No loss leaves less than this: so little is hardly the cause. */
const LEAST_LIMIT: Bytes = 2 ** 30;

/** A model that keeps experts in main memory. Times are those of `Date.now`. */
export interface RamUse {
  worker: string;
  at: number;
  /** Its automatic budget. The memory fills while the model answers. */
  bytes: Bytes;
}

export interface RamHistory {
  /** Of all tabs. Removed when the model is unloaded. */
  uses?: RamUse[];
  /** After a tab ended with its model: the limit for a day. */
  loss?: { at: number; budget: Bytes };
}

/** The most that a tab may use now; infinite without a loss. */
export const ramLimit = ({ loss }: RamHistory, now: number): Bytes =>
  loss && now - loss.at < LOSS_COUNTS_MS ? loss.budget : Number.POSITIVE_INFINITY;

/** Before a model uses an automatic budget. */
export const whileUsed = (history: RamHistory, use: RamUse): RamHistory => ({
  ...history,
  uses: [...(history.uses ?? []), use],
});

/** After the model was unloaded. */
export const afterUse = ({ uses = [], ...rest }: RamHistory, { worker, at }: RamUse): RamHistory => ({
  ...rest,
  uses: uses.filter((use) => use.worker !== worker || use.at !== at),
});

/** At the start of a load: if a worker that used a budget has ended by itself, half of that budget is the limit. */
export function afterEnds(history: RamHistory, ends: WorkerEnds, now: number): RamHistory {
  const { uses = [], ...rest } = history;
  if (uses.length === 0) return history;
  const alive = uses.filter(({ worker }) => ends.isAlive(worker));
  const died = uses.filter((use) => !alive.includes(use) && !mayBeClosed(use, ends));
  const budget = Math.max(LEAST_LIMIT, Math.floor(Math.max(...died.map(({ bytes }) => bytes)) / 2));
  return { ...rest, uses: alive, ...(died.length > 0 && { loss: { at: now, budget } }) };
}

/** A closing may be forgotten if there were many later ones. */
function mayBeClosed({ worker, at }: RamUse, { closedAt, closings }: WorkerEnds): boolean {
  return closedAt(worker) !== undefined || (closings.length >= KEPT_CLOSINGS && at <= Math.min(...closings));
}

/** A history that was stored, without the parts that are not of the form that this version writes. */
export function readRamHistory(value: unknown): RamHistory {
  const { uses, loss } = (value ?? {}) as { uses?: unknown; loss?: Record<string, unknown> };
  return {
    ...(Array.isArray(uses) && { uses: uses.filter(isUse) }),
    ...(isAmount(loss?.at) && isAmount(loss.budget) && { loss: { at: loss.at, budget: loss.budget } }),
  };
}

function isUse(value: unknown): value is RamUse {
  const { worker, at, bytes } = (value ?? {}) as Record<keyof RamUse, unknown>;
  return typeof worker === 'string' && isAmount(at) && isAmount(bytes);
}
