/** Makes a fast store as slow as another one. */
import { aborted } from '../src/contract/errors.ts';
import type { Bytes } from '../src/contract/ids.ts';

/** An answer that is asked for and not due yet. */
interface Waiting {
  askedAt: number;
  ms: number;
  due(): void;
}

/**
 * Holds answers back to a rate: one behind the other, in the order in which they were asked for. An answer is due as long
 * after it was asked for, or after the one before was due if that is later, as its bytes take. What was not asked for in time
 * is not made up for. The reading itself goes on meanwhile: where it is the slower one, nothing is held back. What is taken back has
 * cost the time until then, and leaves the rest of it to the next one.
 */
export class RateLimit {
  /** May be changed at any time; holds for what is asked for from then on. */
  bytesPerSecond = Number.POSITIVE_INFINITY;
  /** Oldest first: its bytes are on their way. */
  readonly #waiting: Waiting[] = [];
  /** When the last answer was due or taken back, as `performance.now()` counts. */
  #freeAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @returns the answer when it is due
   * @throws what it throws, at once; MixtabError `aborted` when it is taken back
   */
  async hold<T>(bytes: Bytes, answer: Promise<T>, signal?: AbortSignal): Promise<T> {
    const [result] = await Promise.all([answer, this.#due(bytes, signal)]);
    return result;
  }

  #due(bytes: Bytes, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting = { askedAt: performance.now(), ms: (bytes / this.bytesPerSecond) * 1000, due: resolve };
      signal?.addEventListener('abort', () => {
        const place = this.#waiting.indexOf(waiting);
        if (place < 0) return;
        this.#waiting.splice(place, 1);
        if (place === 0) this.#freeAt = performance.now();
        this.#goOn();
        reject(aborted());
      });
      this.#waiting.push(waiting);
      this.#goOn();
    });
  }

  /** Hands out what is due, and comes back when the next one is. */
  #goOn(): void {
    clearTimeout(this.#timer);
    for (let first = this.#waiting[0]; first; first = this.#waiting[0]) {
      const due = Math.max(first.askedAt, this.#freeAt) + first.ms;
      const early = due - performance.now();
      if (early > 0) {
        this.#timer = setTimeout(() => this.#goOn(), early);
        return;
      }
      this.#freeAt = due;
      this.#waiting.shift();
      first.due();
    }
  }
}
