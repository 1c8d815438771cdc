/** For databases that may fail for a while, or not answer: reads of what the page needs at its start, and limits. */
import { within } from '../../contract/within.ts';

/** How long the page waits for a database before it continues without it, in milliseconds. */
const PATIENCE_MS = 10_000;
/** A read that failed is repeated after this time, in milliseconds. */
const RETRY_MS = 10_000;

/** A write that takes longer is reported, and still waited for: a second one would wait behind it. In milliseconds. */
export const SLOW_MS = 30_000;

/** The error for a database that does not answer, by its name. */
export const notAnswering = (ms: number): DOMException =>
  new DOMException(`The browser's database has not answered for ${ms / 1000} s.`, 'TimeoutError');

/** Whether an error is one of {@link notAnswering}. */
export const isNotAnswering = (error: Error | undefined): boolean => error?.name === 'TimeoutError';

/**
 * Reads, and applies what was read, however late: a read that has no answer yet is waited for, and one that failed is
 * repeated until it succeeds.
 * @returns why it was not read within {@link PATIENCE_MS}; undefined if it was
 */
export async function readPatiently<T>(read: () => Promise<T>, apply: (value: T) => void): Promise<Error | undefined> {
  const first = read();
  const failure = await within(PATIENCE_MS, first.then(apply), () => notAnswering(PATIENCE_MS)).then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error : new Error(String(error))),
  );
  if (failure && !isNotAnswering(failure)) void applyLater(read, apply);
  else if (failure) first.catch(() => applyLater(read, apply));
  return failure;
}

async function applyLater<T>(read: () => Promise<T>, apply: (value: T) => void): Promise<void> {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    const result = await read().then(
      (value) => ({ value }),
      () => undefined,
    );
    if (result) return apply(result.value);
  }
}

/** Waits until `work` has ended, or failed, but no longer than `ms` milliseconds. It continues after that. */
export const atMost = (ms: number, work: Promise<unknown>): Promise<void> =>
  within(ms, work, () => notAnswering(ms)).then(
    () => {},
    () => {},
  );
