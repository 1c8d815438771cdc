/**
 * Notices reads of weights that wait without an end: a database or a disk that never answers, or a browser that forgets a
 * read. Progress of any read counts, so that a slow disk is never given up. Pure.
 */

/** How often the reader is asked for its progress. */
const TICK_MS = 5000;
/**
 * Ticks without progress after which reads are given up, times the number of the attempt: a minute, then two. Ticks are
 * counted, not time, because this thread itself may be busy computing, or the machine asleep.
 */
const PATIENCE_TICKS = 12;
/** The first, and one more. A read that hangs twice is no accident, and somebody waits for the answer. */
const ATTEMPTS = 2;
/** The patience for what has one attempt only: that of the two together. */
const ONCE = 3;

export interface ReadWatchOptions {
  /** Asks the reader for a number that changes whenever a read makes progress. It may never answer. */
  progress: () => Promise<number>;
  /** Ends the reader with all its reads. The next read gets another one. */
  restart: () => void;
  /** For tests. */
  tickMs?: number;
}

/** A read that has no result yet. */
interface Waiting {
  attempt: number;
  giveUp: (gaveUp: GaveUp) => void;
  /** Aborted when the attempt is given up. */
  controller: AbortController;
}

class GaveUp {
  constructor(readonly seconds: number) {}
}

/** Watches the reads of one reader. */
export class ReadWatch {
  readonly #options: ReadWatchOptions;
  readonly #tickMs: number;
  readonly #waiting = new Set<Waiting>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #idleTicks = 0;
  /** The reader's last answer. undefined: it has not answered since it was started. */
  #progress: number | undefined;

  constructor(options: ReadWatchOptions) {
    this.#options = options;
    this.#tickMs = options.tickMs ?? TICK_MS;
  }

  /**
   * Runs a read. If the reader makes no progress, runs it once more with another reader.
   * @param read gets a signal that is aborted when this attempt is given up; its result is of no use then
   * @param stalled returns the error if that one makes no progress either, for so many seconds
   * @throws what `read` throws, or the error of `stalled`
   */
  async run<T>(read: (givenUp: AbortSignal) => Promise<T>, stalled: (seconds: number) => Error): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const result = await this.#attempt(read, attempt);
      if (!(result instanceof GaveUp)) return result;
      if (attempt === ATTEMPTS) throw stalled(result.seconds);
    }
  }

  /**
   * Runs what must not be repeated. It gets as much time as both attempts of a read together.
   * @throws what `work` throws, or the error of `stalled`: then it may still happen later
   */
  async runOnce<T>(work: () => Promise<T>, stalled: (seconds: number) => Error): Promise<T> {
    const result = await this.#attempt(work, ONCE);
    if (result instanceof GaveUp) throw stalled(result.seconds);
    return result;
  }

  #attempt<T>(read: (givenUp: AbortSignal) => Promise<T>, attempt: number): Promise<T | GaveUp> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { attempt, giveUp: resolve, controller: new AbortController() };
      this.#waiting.add(waiting);
      this.#timer ??= this.#start();
      // `read` may also throw at once.
      (async () => read(waiting.controller.signal))()
        .then(resolve, reject)
        .finally(() => this.#ended(waiting));
    });
  }

  #start(): ReturnType<typeof setInterval> {
    this.#idleTicks = 0;
    return setInterval(() => this.#tick(), this.#tickMs);
  }

  #ended(waiting: Waiting): void {
    if (!this.#waiting.delete(waiting)) return; // given up before
    this.#idleTicks = 0;
    if (this.#waiting.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tick(): void {
    const patience = PATIENCE_TICKS * Math.max(...[...this.#waiting].map(({ attempt }) => attempt));
    if (++this.#idleTicks > patience) this.#giveUp((patience * this.#tickMs) / 1000);
    else this.#ask();
  }

  #ask(): void {
    this.#options.progress().then(
      (progress) => {
        if (progress !== this.#progress) this.#idleTicks = 0;
        this.#progress = progress;
      },
      () => {}, // the reader has ended, which rejects its reads
    );
  }

  #giveUp(seconds: number): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#progress = undefined;
    for (const { giveUp, controller } of waiting) {
      controller.abort();
      giveUp(new GaveUp(Math.round(seconds)));
    }
    this.#options.restart();
  }
}
