/** Runs asynchronous jobs one after another, in the order they were added. */
export class SerialQueue {
  readonly #onError: (error: unknown) => void;
  /** Settles when the newest job has ended; never rejects. */
  #last: Promise<void> = Promise.resolve();

  /** @param onError called with the error of a job that fails; the next job still runs */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  /** Adds a job. The promise resolves when the job has ended, even if it failed. */
  add(job: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(job).catch(this.#onError);
    return this.#last;
  }
}
