/**
 * Reads experts from below the GPU: main memory, else the store. A few reads are under way at once; experts that are
 * needed now go before others. What is only guessed is read while there is nothing else to read, one after another, and taken back,
 * at whatever point it is, when the router has decided otherwise. Pure but for the `read` it is given.
 */
import { aborted } from '../../src/contract/errors.ts';
import type { Bytes, ExpertIndex, LayerIndex } from '../../src/contract/ids.ts';
import { expertKey } from '../format/manifest.ts';
import type { RamTier } from './ram-tier.ts';

/**
 * Reads an expert's record from the store.
 * @param signal takes the read back, which then throws, and brings no record any more
 */
export type ReadExpert<R> = (layer: LayerIndex, expert: ExpertIndex, signal: AbortSignal) => Promise<R>;

/** Two reads keep the store busy while one is handed over; more only delay what is needed first. */
const READS_AT_ONCE = 2;

interface Job<R> {
  layer: LayerIndex;
  expert: ExpertIndex;
  urgent: boolean;
  /** A router's guess from the layer before. */
  isPrediction: boolean;
  /** What takes its read back; undefined where that has not begun. */
  reading: AbortController | undefined;
  promise: Promise<R | undefined>;
  resolve(record: R | undefined): void;
  reject(error: unknown): void;
}

export class ExpertLoader<R extends { byteLength: Bytes }> {
  /** Waiting and running jobs by record key, in the order they came. */
  readonly #jobs = new Map<string, Job<R>>();
  #bytesRead: Bytes = 0;

  constructor(
    private readonly read: ReadExpert<R>,
    private readonly ram: RamTier<R>,
    private readonly readsAtOnce = READS_AT_ONCE,
    /** Told what main memory no longer keeps. */
    private readonly onCancelled: (record: R) => void = () => {},
  ) {}

  /** Bytes of the records read from the store since the loader was made; what was read of those taken back is not known. */
  get bytesRead(): Bytes {
    return this.#bytesRead;
  }

  /**
   * An expert that is needed now: waits for no guess, and takes over a read that is under way.
   * @throws MixtabError `aborted` after {@link cancel}
   */
  async demand(layer: LayerIndex, expert: ExpertIndex): Promise<R> {
    const record = await this.#load(layer, expert, { urgent: true, isPrediction: false });
    if (!record) throw aborted(`The reading of ${expertKey(layer, expert)} was taken back.`);
    return record;
  }

  /** An expert that will be needed soon; undefined where it was dropped. */
  prefetch(layer: LayerIndex, expert: ExpertIndex): Promise<R | undefined> {
    return this.#load(layer, expert, { urgent: false, isPrediction: false });
  }

  /** The same of one that may be needed. */
  predict(layer: LayerIndex, expert: ExpertIndex): Promise<R | undefined> {
    return this.#load(layer, expert, { urgent: false, isPrediction: true });
  }

  /** True while the expert is read or waits for it. */
  isLoading(layer: LayerIndex, expert: ExpertIndex): boolean {
    return this.#jobs.has(expertKey(layer, expert));
  }

  /** Drops what is to be read ahead of a layer, under way or not, but for those in `keep`. */
  cancelPredictions(layer: LayerIndex, keep: ReadonlySet<ExpertIndex>): void {
    for (const job of this.#jobs.values())
      if (job.layer === layer && !job.urgent && !keep.has(job.expert)) this.#cancel(job);
    queueMicrotask(() => this.#startNext()); // who drops what was wrong demands what is right in the same breath
  }

  /** Drops everything, demanded or not: whoever demanded it has ended. */
  cancel(): void {
    for (const job of this.#jobs.values()) this.#cancel(job);
  }

  #cancel(job: Job<R>): void {
    this.#jobs.delete(expertKey(job.layer, job.expert));
    job.reading?.abort();
    job.resolve(undefined);
  }

  #load(layer: LayerIndex, expert: ExpertIndex, why: Pick<Job<R>, 'urgent' | 'isPrediction'>): Promise<R | undefined> {
    const key = expertKey(layer, expert);
    const kept = this.ram.get(key);
    if (kept) return Promise.resolve(kept);
    const known = this.#jobs.get(key);
    if (known) {
      known.urgent ||= why.urgent;
      known.isPrediction &&= why.isPrediction;
      this.#startNext(); // what was a guess may not have to wait any more
      return known.promise;
    }
    let settle: Pick<Job<R>, 'resolve' | 'reject'> | undefined;
    const promise = new Promise<R | undefined>((resolve, reject) => {
      settle = { resolve, reject };
    });
    this.#jobs.set(key, { layer, expert, ...why, reading: undefined, promise, ...settle! });
    this.#startNext();
    return promise;
  }

  #startNext(): void {
    for (let next = this.#next(); next; next = this.#next()) void this.#run(next, new AbortController());
  }

  /**
   * What to read beside what is under way, if anything. A guess shares the store with nothing: neither with what is needed nor with
   * a less likely one. But when something else turns out to be needed, the one under way goes on beside it: what it has read would be lost.
   */
  #next(): Job<R> | undefined {
    const jobs = [...this.#jobs.values()];
    const running = jobs.filter(({ reading }) => reading);
    const waiting = jobs.filter(({ reading }) => !reading);
    if (running.filter(({ isPrediction }) => !isPrediction).length >= this.readsAtOnce) return undefined;
    const urgent = waiting.find((job) => job.urgent);
    if (urgent) return urgent;
    if (running.length >= this.readsAtOnce) return undefined;
    return waiting.find(({ isPrediction }) => !isPrediction || running.length === 0);
  }

  async #run(job: Job<R>, reading: AbortController): Promise<void> {
    job.reading = reading;
    const key = expertKey(job.layer, job.expert);
    try {
      const record = await this.read(job.layer, job.expert, reading.signal);
      if (reading.signal.aborted) return;
      this.#bytesRead += record.byteLength;
      for (const dropped of this.ram.put(key, record)) this.onCancelled(dropped);
      job.resolve(record);
    } catch (error) {
      job.reject(error); // of what was taken back nobody waits any more: it was resolved then
    } finally {
      // By now another job may have the name of one that was taken back.
      if (this.#jobs.get(key) === job) this.#jobs.delete(key);
      this.#startNext();
    }
  }
}
