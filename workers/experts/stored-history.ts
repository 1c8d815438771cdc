/** What the histories of memory have in common (`budget-history.ts`, `ram-history.ts`). Pure. */

/** How long a loss counts. It may have had another cause, for example a driver that was updated. */
export const LOSS_COUNTS_MS = 24 * 60 * 60 * 1000;

/** Whether a stored value can be an amount or a time. */
export const isAmount = (value: unknown): value is number => Number.isFinite(value) && (value as number) >= 0;
