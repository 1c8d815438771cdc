/** Makes a fast store as slow as another one. */
import type { Bytes } from '../src/contract/ids.ts';

/**
 * Holds answers back to a rate: one behind the other, in the order in which they were asked for. An answer is due as long
 * after it was asked for, or after the one before was due if that is later, as its bytes take. What was not asked for in time
 * is not made up for. The reading itself goes on meanwhile: where it is the slower one, nothing is held back.
 */
export class RateLimit {
  /** May be changed at any time; holds for what is asked for from then on. */
  bytesPerSecond = Number.POSITIVE_INFINITY;
  /** When the last answer is due, as `performance.now()` counts. */
  #due = 0;

  /** @returns the answer when it is due; @throws what it throws, at once */
  async hold<T>(bytes: Bytes, answer: Promise<T>): Promise<T> {
    const due = Math.max(performance.now(), this.#due) + (bytes / this.bytesPerSecond) * 1000;
    this.#due = due;
    const result = await answer;
    const early = due - performance.now();
    if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
    return result;
  }
}
