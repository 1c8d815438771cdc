/** What earlier loads have shown about a GPU's memory, remembered per adapter (workers/store/adapter-memory.ts). Pure. */
import type { Bytes } from '../../src/contract/ids.ts';
import { isAmount, LOSS_COUNTS_MS } from './stored-history.ts';
import type { WorkerEnds } from './worker-ends.ts';

/** Tokens below which a batch is not halved any more. */
const LEAST_BATCH = 32;
/** A model that takes less than this says nothing about how much a GPU holds. */
const LEAST_LOST_BUDGET: Bytes = 2 ** 30;
/** A page that is closed within this time of a step was closed by its user, and not because everything stood still. */
const CLOSED_MS = 5000;

/** What earlier loads have shown. Times are those of `Date.now`. */
export interface BudgetHistory {
  /** The largest budget with which a model was loaded and all of its memory was read at once. */
  good?: Bytes;
  /** Bytes per second at which the GPU reads its memory. */
  readRate?: number;
  /** Bytes per second at which it copies within its memory. */
  copyRate?: number;
  /** Bytes per second at which it copies from main memory. */
  hostCopyRate?: number;
  /** The amount that is being tried. If it is still there at the next load, the browser or the tab did not survive it. */
  trying?: { bytes: Bytes; at: number; worker?: string };
  /** After the GPU failed while it computed: limits for a day. */
  loss?: { at: number; budget?: Bytes; batch?: number };
}

/** The limits that losses leave. */
export interface BudgetLimits {
  budget: Bytes;
  /** Tokens of a prompt that go through a kernel together. */
  batch: number;
}

/** The limits at this time; infinite without a loss. */
export function limitsOf({ loss }: BudgetHistory, now: number): BudgetLimits {
  const counts = loss && now - loss.at < LOSS_COUNTS_MS ? loss : undefined;
  return { budget: counts?.budget ?? Number.POSITIVE_INFINITY, batch: counts?.batch ?? Number.POSITIVE_INFINITY };
}

/**
 * After the GPU failed with this budget and batch: half of both. A budget that was small, or below one that was good, was
 * not the cause and changes nothing.
 * @param used what had not to do with the loss is left out
 */
export function afterLoss(history: BudgetHistory, used: Partial<BudgetLimits>, now: number): BudgetHistory {
  const before = limitsOf(history, now);
  const { trying: _, good = 0, ...rest } = history;
  const isCause = used.budget !== undefined && used.budget >= Math.max(good, LEAST_LOST_BUDGET);
  const budget = isCause ? Math.floor(used.budget! / 2) : before.budget;
  const batch = used.batch === undefined ? before.batch : Math.max(LEAST_BATCH, Math.floor(used.batch / 2));
  return {
    ...rest,
    good: Math.min(good, budget),
    loss: { at: now, ...(Number.isFinite(budget) && { budget }), ...(Number.isFinite(batch) && { batch }) },
  };
}

/** Before an amount is tried that was never good. */
export const whileTrying = (history: BudgetHistory, bytes: Bytes, by: { at: number; worker: string }): BudgetHistory =>
  bytes > (history.good ?? 0) ? { ...history, trying: { bytes, ...by } } : history;

/** After the load ended, with success or an error: the browser has survived it. */
export function afterLoad({ trying: _, ...history }: BudgetHistory, good?: Bytes): BudgetHistory {
  return good === undefined ? history : { ...history, good: Math.max(history.good ?? 0, good) };
}

/**
 * At the start of a load: an amount that the browser did not survive counts as a loss. What another tab is trying now
 * stays.
 */
export function survived(history: BudgetHistory, { isAlive, closedAt }: WorkerEnds): BudgetHistory {
  const { trying } = history;
  if (!trying) return history;
  const { worker = '' } = trying;
  if (isAlive(worker)) return history;
  const sinceStep = (closedAt(worker) ?? Number.NEGATIVE_INFINITY) - trying.at;
  if (sinceStep >= 0 && sinceStep < CLOSED_MS) return afterLoad(history);
  return afterLoss(history, { budget: trying.bytes }, trying.at);
}

/** After the GPU was lost while a model was loaded: what was tried counts, else the budget that was allocated. */
export function afterLostLoad(history: BudgetHistory, budget: Bytes | undefined, now: number): BudgetHistory {
  const lost = history.trying?.bytes ?? budget;
  return lost === undefined ? history : afterLoss(history, { budget: lost }, now);
}

/** Rates of a GPU's memory, in bytes per second. */
export type MemoryRates = Pick<BudgetHistory, 'readRate' | 'copyRate' | 'hostCopyRate'>;

/**
 * After rates were measured: the highest one counts. Other programs can make one much lower, but only a little higher:
 * see `rateOf` (measured-memory.ts).
 */
export function afterRates(history: BudgetHistory, rates: MemoryRates): BudgetHistory {
  const higher = Object.entries(rates).filter(([name, rate]) => rate > (history[name as keyof MemoryRates] ?? 0));
  return { ...history, ...Object.fromEntries(higher) };
}

/** A history that was stored, without the parts that are not of the form that this version writes. */
export function readHistory(value: unknown): BudgetHistory {
  if (typeof value !== 'object' || value === null) return {};
  const { good, readRate, copyRate, hostCopyRate, trying, loss } = value as Record<keyof BudgetHistory, unknown>;
  const { bytes, at, worker } = (trying ?? {}) as Record<string, unknown>;
  const { at: lossAt, budget, batch } = (loss ?? {}) as Record<string, unknown>;
  return {
    ...(isAmount(good) && { good }),
    ...(isAmount(readRate) && { readRate }),
    ...(isAmount(copyRate) && { copyRate }),
    ...(isAmount(hostCopyRate) && { hostCopyRate }),
    ...(isAmount(bytes) && isAmount(at) && { trying: { bytes, at, ...(typeof worker === 'string' && { worker }) } }),
    ...(isAmount(lossAt) && {
      loss: { at: lossAt, ...(isAmount(budget) && { budget }), ...(isAmount(batch) && { batch }) },
    }),
  };
}
