/** Slows a fast store down to a given rate. */
import { aborted } from '../src/contract/errors.ts';
import type { Bytes } from '../src/contract/ids.ts';

/** A request whose answer is not due yet. */
interface Waiting {
  /** Time of the request, by `performance.now()`. */
  requestedAt: number;
  /** Time that its bytes take. */
  ms: number;
  due(): void;
}

/**
 * Delays answers to a rate, one after another in the order of the requests. The transfer of an answer starts with its
 * request or when the previous answer is due, whichever is later, and takes as long as its bytes need. Idle time gives
 * no credit. The real reading runs at the same time, and an answer that takes longer than its transfer is not
 * delayed. A cancelled request has used the time until then, and the next one starts at once.
 */
export class RateLimit {
  /** Applies to later requests. */
  bytesPerSecond = Number.POSITIVE_INFINITY;
  /** Oldest first. The first one is being transferred. */
  readonly #waiting: Waiting[] = [];
  /** Time at which the last answer was due or cancelled, by `performance.now()`. */
  #freeAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * Delays `answer` until it is due.
   * @throws the error of `answer`, at once; MixtabError `aborted` if the signal aborts
   */
  async delay<T>(bytes: Bytes, answer: Promise<T>, signal?: AbortSignal): Promise<T> {
    const [result] = await Promise.all([answer, this.#due(bytes, signal)]);
    return result;
  }

  #due(bytes: Bytes, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting = { requestedAt: performance.now(), ms: (bytes / this.bytesPerSecond) * 1000, due: resolve };
      signal?.addEventListener('abort', () => {
        const index = this.#waiting.indexOf(waiting);
        if (index < 0) return;
        this.#waiting.splice(index, 1);
        if (index === 0) this.#freeAt = performance.now();
        this.#deliver();
        reject(aborted());
      });
      this.#waiting.push(waiting);
      this.#deliver();
    });
  }

  /** Delivers the answers that are due, and sets a timer for the next one. */
  #deliver(): void {
    clearTimeout(this.#timer);
    for (let first = this.#waiting[0]; first; first = this.#waiting[0]) {
      const due = Math.max(first.requestedAt, this.#freeAt) + first.ms;
      const remaining = due - performance.now();
      if (remaining > 0) {
        this.#timer = setTimeout(() => this.#deliver(), remaining);
        return;
      }
      this.#freeAt = due;
      this.#waiting.shift();
      first.due();
    }
  }
}
