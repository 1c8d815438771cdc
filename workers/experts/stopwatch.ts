/** Adds up the time during which at least one of several promises is pending. */
export class Stopwatch {
  #running = 0;
  #since = 0;
  #ms = 0;
  #stoppedAt = Number.NEGATIVE_INFINITY;

  /** @param now the clock, in milliseconds; tests pass their own */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** Milliseconds so far, including promises that are still pending. */
  get ms(): number {
    return this.#ms + (this.#running > 0 ? this.now() - this.#since : 0);
  }

  /** Milliseconds since the last promise settled: 0 while one is pending, infinite before the first one. */
  get idleMs(): number {
    return this.#running > 0 ? 0 : this.now() - this.#stoppedAt;
  }

  /** Runs until `work` settles, and returns its result. */
  async during<T>(work: Promise<T>): Promise<T> {
    if (this.#running++ === 0) this.#since = this.now();
    try {
      return await work;
    } finally {
      if (--this.#running === 0) {
        this.#stoppedAt = this.now();
        this.#ms += this.#stoppedAt - this.#since;
      }
    }
  }
}
