/**
 * Takes experts' records from main memory, or else reads them from the store in order of priority. At most a few reads
 * run at once. Predictions are read one at a time, only while there is nothing else to read, and a wrong one is
 * cancelled even in the middle of its read. Pure, apart from the `read` function that it is given.
 */
import { aborted } from '../../src/contract/errors.ts';
import type { Bytes, ExpertIndex, LayerIndex } from '../../src/contract/ids.ts';
import { expertKey } from '../format/manifest.ts';

/**
 * Reads an expert's record from the store.
 * @param signal cancels the read, which then rejects
 */
export type ReadExpert<R> = (layer: LayerIndex, expert: ExpertIndex, signal: AbortSignal) => Promise<R>;

/** Two reads keep the store busy while one record is handed over. More would only delay what is needed first. */
const MAX_READS = 2;

/** Higher goes first. */
const PRIORITY = {
  /** May be needed soon: a router's prediction. */
  prediction: 0,
  /** Will certainly be needed soon. */
  prefetch: 1,
  /** Is needed now. */
  demand: 2,
} as const;
type Priority = (typeof PRIORITY)[keyof typeof PRIORITY];

interface Job<R> {
  layer: LayerIndex;
  expert: ExpertIndex;
  priority: Priority;
  /** Cancels the job's read; undefined before the read has begun. */
  reading: AbortController | undefined;
  /** Resolves to undefined if the job is cancelled. */
  promise: Promise<R | undefined>;
  resolve(record: R | undefined): void;
  reject(error: unknown): void;
}

export interface ExpertLoaderOptions<R extends { byteLength: Bytes }> {
  read: ReadExpert<R>;
  /** The expert's record, if main memory keeps it: then it is not read. */
  kept: (layer: LayerIndex, expert: ExpertIndex) => R | undefined;
  maxReads?: number;
}

/** Reads experts' records, the most urgent first. Cancels reads that are no longer needed. */
export class ExpertLoader<R extends { byteLength: Bytes }> {
  readonly #read: ReadExpert<R>;
  readonly #kept: ExpertLoaderOptions<R>['kept'];
  readonly #maxReads: number;
  /** Waiting and running jobs by record key, oldest first. */
  readonly #jobs = new Map<string, Job<R>>();
  #bytesRead: Bytes = 0;

  constructor({ read, kept, maxReads = MAX_READS }: ExpertLoaderOptions<R>) {
    this.#read = read;
    this.#kept = kept;
    this.#maxReads = maxReads;
  }

  /** Bytes of all records read from the store so far. What cancelled reads have read is not included. */
  get bytesRead(): Bytes {
    return this.#bytesRead;
  }

  /**
   * Reads an expert that is needed now. Takes over a read of the same expert that is waiting or running.
   * @throws MixtabError `aborted` after {@link cancel}
   */
  async demand(layer: LayerIndex, expert: ExpertIndex): Promise<R> {
    const record = await this.#load(layer, expert, PRIORITY.demand);
    if (record) return record;
    throw aborted(`Reading expert ${expert} of layer ${layer} was cancelled because its answer has ended.`);
  }

  /** Reads an expert that will certainly be needed soon. Resolves to undefined if cancelled. */
  prefetch(layer: LayerIndex, expert: ExpertIndex): Promise<R | undefined> {
    return this.#load(layer, expert, PRIORITY.prefetch);
  }

  /** Reads an expert that may be needed soon. Resolves to undefined if cancelled. */
  prefetchPredicted(layer: LayerIndex, expert: ExpertIndex): Promise<R | undefined> {
    return this.#load(layer, expert, PRIORITY.prediction);
  }

  /** True while the expert's read is waiting or running. */
  isLoading(layer: LayerIndex, expert: ExpertIndex): boolean {
    return this.#jobs.has(expertKey(layer, expert));
  }

  /** Cancels the reads for a layer that are not demanded, waiting or running, except those of experts in `keep`. */
  cancelPrefetches(layer: LayerIndex, keep: ReadonlySet<ExpertIndex>): void {
    for (const job of this.#jobs.values()) {
      if (job.layer === layer && job.priority < PRIORITY.demand && !keep.has(job.expert)) this.#cancel(job);
    }
    // Not at once: the caller usually goes straight on to demand the right experts, which should start first.
    queueMicrotask(() => this.#startNext());
  }

  /** Cancels all reads, even demanded ones: the answer that demanded them has ended. */
  cancel(): void {
    for (const job of this.#jobs.values()) this.#cancel(job);
  }

  #cancel(job: Job<R>): void {
    this.#jobs.delete(expertKey(job.layer, job.expert));
    job.reading?.abort();
    job.resolve(undefined);
  }

  #load(layer: LayerIndex, expert: ExpertIndex, priority: Priority): Promise<R | undefined> {
    const key = expertKey(layer, expert);
    const kept = this.#kept(layer, expert);
    if (kept) return Promise.resolve(kept);
    const existing = this.#jobs.get(key);
    if (existing) {
      if (priority > existing.priority) existing.priority = priority;
      this.#startNext(); // with its new priority the job may not have to wait any more
      return existing.promise;
    }
    let settle: Pick<Job<R>, 'resolve' | 'reject'> | undefined;
    const promise = new Promise<R | undefined>((resolve, reject) => {
      settle = { resolve, reject };
    });
    this.#jobs.set(key, { layer, expert, priority, reading: undefined, promise, ...settle! });
    this.#startNext();
    return promise;
  }

  #startNext(): void {
    for (let job = this.#nextJob(); job; job = this.#nextJob()) void this.#run(job, new AbortController());
  }

  /**
   * The job to start beside the running ones, if any. A prediction starts only while nothing else is read: it would
   * slow down needed reads and more likely predictions. If other experts turn out to be needed while it is being read,
   * it continues beside them, because cancelling it would waste what it has read.
   */
  #nextJob(): Job<R> | undefined {
    const jobs = [...this.#jobs.values()];
    const running = jobs.filter(({ reading }) => reading);
    const waiting = jobs.filter(({ reading }) => !reading);
    const isCertain = ({ priority }: Job<R>) => priority > PRIORITY.prediction;
    if (running.filter(isCertain).length >= this.#maxReads) return undefined;
    const demanded = waiting.find(({ priority }) => priority === PRIORITY.demand);
    if (demanded) return demanded;
    if (running.length >= this.#maxReads) return undefined;
    return waiting.find((job) => isCertain(job) || running.length === 0);
  }

  async #run(job: Job<R>, reading: AbortController): Promise<void> {
    job.reading = reading;
    const key = expertKey(job.layer, job.expert);
    try {
      const record = await this.#read(job.layer, job.expert, reading.signal);
      if (reading.signal.aborted) return;
      this.#bytesRead += record.byteLength;
      job.resolve(record);
    } catch (error) {
      job.reject(error); // without effect if the job was cancelled: it is resolved already
    } finally {
      // If this job was cancelled, another job may have its key by now.
      if (this.#jobs.get(key) === job) this.#jobs.delete(key);
      this.#startNext();
    }
  }
}
