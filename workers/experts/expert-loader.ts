/**
 * Reads experts from below the GPU: main memory, else the store. A few reads are under way at once; experts that are
 * needed now go before others. One that is only guessed is read alone: what has begun cannot be taken back, and by the time the
 * reader is free for the next one, the router may have said what is really wanted. Pure but for the `read` it is given.
 */
import type { Bytes, ExpertIndex, LayerIndex } from '../../src/contract/ids.ts';
import { expertKey } from '../../src/contract/weight-layout.ts';
import type { RamTier } from './ram-tier.ts';

/** Reads an expert's record from the store. */
export type ReadExpert<Record> = (layer: LayerIndex, expert: ExpertIndex) => Promise<Record>;

/** Two reads keep the store busy while one is handed over; more only delay what is needed first. */
const READS_AT_ONCE = 2;

interface Job<Record> {
  layer: LayerIndex;
  expert: ExpertIndex;
  urgent: boolean;
  /** A router's guess from the layer before. */
  guessed: boolean;
  started: boolean;
  promise: Promise<Record | undefined>;
  resolve(record: Record | undefined): void;
  reject(error: unknown): void;
}

export class ExpertLoader<Record extends { byteLength: Bytes }> {
  /** Waiting and running jobs by record key, in the order they came. */
  readonly #jobs = new Map<string, Job<Record>>();
  #running = 0;
  /** When the last read ended, as `performance.now()` counts. */
  #endedAt = Number.NEGATIVE_INFINITY;
  #bytesRead: Bytes = 0;

  constructor(
    private readonly read: ReadExpert<Record>,
    private readonly ram: RamTier<Record>,
    private readonly readsAtOnce = READS_AT_ONCE,
    /** Told what main memory no longer keeps. */
    private readonly onDropped: (record: Record) => void = () => {},
    /** Told how long the store took for a record: of two at once, from the end of the first. */
    private readonly onRead: (ms: number) => void = () => {},
  ) {}

  /** Bytes read from the store since the loader was made. */
  get bytesRead(): Bytes {
    return this.#bytesRead;
  }

  /** An expert that is needed now: goes before all predicted ones, and takes over a prediction's read. */
  async demand(layer: LayerIndex, expert: ExpertIndex): Promise<Record> {
    const record = await this.#load(layer, expert, { urgent: true, guessed: false });
    if (!record) throw new Error(`L${layer}.E${expert} was dropped although it was demanded`);
    return record;
  }

  /** An expert that will be needed soon; undefined where it was dropped before its read began. */
  readAhead(layer: LayerIndex, expert: ExpertIndex): Promise<Record | undefined> {
    return this.#load(layer, expert, { urgent: false, guessed: false });
  }

  /** The same of one that may be needed. */
  predict(layer: LayerIndex, expert: ExpertIndex): Promise<Record | undefined> {
    return this.#load(layer, expert, { urgent: false, guessed: true });
  }

  /** Forgets what was to be read ahead of a layer and whose reading has not begun, but for those in `keep`. */
  dropPredictions(layer: LayerIndex, keep: ReadonlySet<ExpertIndex>): void {
    for (const [key, job] of this.#jobs) {
      if (job.layer !== layer || job.urgent || job.started || keep.has(job.expert)) continue;
      this.#jobs.delete(key);
      job.resolve(undefined);
    }
  }

  #load(layer: LayerIndex, expert: ExpertIndex, why: Pick<Job<Record>, 'urgent' | 'guessed'>): Promise<Record | undefined> {
    const key = expertKey(layer, expert);
    const kept = this.ram.get(key);
    if (kept) return Promise.resolve(kept);
    const known = this.#jobs.get(key);
    if (known) {
      known.urgent ||= why.urgent;
      known.guessed &&= why.guessed;
      this.#startNext(); // what was a guess may not have to wait any more
      return known.promise;
    }
    let settle: Pick<Job<Record>, 'resolve' | 'reject'> | undefined;
    const promise = new Promise<Record | undefined>((resolve, reject) => {
      settle = { resolve, reject };
    });
    this.#jobs.set(key, { layer, expert, ...why, started: false, promise, ...settle! });
    this.#startNext();
    return promise;
  }

  #startNext(): void {
    while (this.#running < this.readsAtOnce) {
      const waiting = [...this.#jobs.values()].filter(({ started }) => !started);
      const next = waiting.find(({ urgent }) => urgent) ?? waiting.find(({ guessed }) => !guessed || this.#running === 0);
      if (!next) return;
      void this.#run(next);
    }
  }

  async #run(job: Job<Record>): Promise<void> {
    job.started = true;
    this.#running++;
    const key = expertKey(job.layer, job.expert);
    const startedAt = performance.now();
    try {
      const record = await this.read(job.layer, job.expert);
      const endedAt = performance.now();
      this.onRead(endedAt - Math.max(startedAt, this.#endedAt));
      this.#endedAt = endedAt;
      this.#bytesRead += record.byteLength;
      for (const dropped of this.ram.put(key, record)) this.onDropped(dropped);
      job.resolve(record);
    } catch (error) {
      job.reject(error);
    } finally {
      this.#jobs.delete(key);
      this.#running--;
      this.#startNext();
    }
  }
}
