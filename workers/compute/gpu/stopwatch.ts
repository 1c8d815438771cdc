/** Adds up the time in which at least one of some things is under way. */
export class Stopwatch {
  #running = 0;
  #since = 0;
  #ms = 0;

  /** @param now milliseconds; tests bring their own */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** Up to now, what is still under way included. */
  get ms(): number {
    return this.#ms + (this.#running > 0 ? this.now() - this.#since : 0);
  }

  /** Runs while `work` does. */
  async during<T>(work: Promise<T>): Promise<T> {
    if (this.#running++ === 0) this.#since = this.now();
    try {
      return await work;
    } finally {
      if (--this.#running === 0) this.#ms += this.now() - this.#since;
    }
  }
}
