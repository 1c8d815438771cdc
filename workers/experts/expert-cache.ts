/**
 * Makes experts resident: finds them in a GPU slot, else in main memory, else in the store. This is the interface of
 * the folder for prefill and decode. It owns three parts: `ExpertSlots` (what is in a slot), `Prefetcher` (what is read
 * before it is needed), and `CacheStatistics`.
 */
import type { CacheReport, ExpertsReport } from '../../src/contract/engine-api.ts';
import { MixtabError } from '../../src/contract/errors.ts';
import { type Bytes, type ExpertIndex, type LayerIndex, layerIndex } from '../../src/contract/ids.ts';
import type { RecordParts } from '../format/record-parts.ts';
import type { PoolPlan } from './budget.ts';
import { CacheStatistics } from './cache-statistics.ts';
import { ExpertLoader, type ReadExpert } from './expert-loader.ts';
import { ExpertSlots } from './expert-slots.ts';
import { distinctExperts } from './grouping.ts';
import { type Prediction, Prefetcher } from './prefetcher.ts';
import { RamTier } from './ram-tier.ts';
import { RecordRecycler } from './record-recycler.ts';
import type { SlotMemory } from './slot-memory.ts';
import { Stopwatch } from './stopwatch.ts';

export type { Prediction } from './prefetcher.ts';

export interface ExpertCacheOptions {
  memory: SlotMemory;
  /** The pools that `memory` was created with. */
  pools: readonly PoolPlan[];
  expertsPerToken: number;
  /** Reads an expert's record from the store. */
  readExpert: ReadExpert<RecordParts>;
  /** Main memory for experts without a slot, which then need no new read. */
  ramBudgetBytes: Bytes;
  /** Receives records that are not needed any more, to reuse their memory. */
  recycle?: (record: RecordParts) => void;
}

/**
 * Reads an expert. If memory is short, main memory keeps half as many experts from then on, and the read is repeated in
 * the memory of the others. A read that began before another one released memory is repeated without releasing more.
 */
const orWithLess =
  (read: ReadExpert<RecordParts>, ram: RamTier<RecordParts>, recycler: RecordRecycler): ReadExpert<RecordParts> =>
  async (...args) => {
    for (;;) {
      const { budgetBytes } = ram;
      try {
        return await read(...args);
      } catch (error) {
        if (!(error instanceof MixtabError && error.code === 'memory-full')) throw error;
        const isNewShortage = ram.budgetBytes === budgetBytes;
        if (isNewShortage && !recycler.releaseHalf()) throw error;
      }
    }
  };

/** Of an expert that is resident. */
const DONE = Promise.resolve();

/** Makes the experts of a loaded model resident: finds them in a GPU slot, in main memory or in the store. */
export class ExpertCache {
  /** Runs while {@link load} waits for a record. Other experts of the layer may compute meanwhile. */
  readonly waiting = new Stopwatch();
  readonly #ram: RamTier<RecordParts>;
  readonly #recycler: RecordRecycler;
  readonly #loader: ExpertLoader<RecordParts>;
  readonly #slots: ExpertSlots;
  readonly #prefetcher: Prefetcher;
  readonly #statistics: CacheStatistics;

  constructor(options: ExpertCacheOptions) {
    const { memory, pools, expertsPerToken, readExpert, ramBudgetBytes, recycle = () => {} } = options;
    const ram: RamTier<RecordParts> = new RamTier(ramBudgetBytes, {
      isSpare: (expert) => slots.isSpare(expert),
      score: (expert) => slots.score(expert),
    });
    const recycler = new RecordRecycler(ram, recycle);
    const slots = new ExpertSlots({ memory, pools, expertsPerToken, recycler });
    const kept = (layer: LayerIndex, expert: ExpertIndex) => ram.get(slots.idOf(layer, expert));
    const loader = new ExpertLoader({ read: orWithLess(readExpert, ram, recycler), kept });
    this.#ram = ram;
    this.#recycler = recycler;
    this.#slots = slots;
    this.#loader = loader;
    this.#prefetcher = new Prefetcher({ slots, loader, recycler });
    this.#statistics = new CacheStatistics({ slots, ram, loader });
  }

  /** Bytes of the experts in main memory. */
  get ramBytes(): Bytes {
    return this.#ram.bytes;
  }

  /**
   * Expected number of layers in which a token misses experts if the router selects all experts equally often. 0 if
   * every expert is resident.
   */
  expectedMissedLayers(expertsPerToken: number): number {
    return this.#slots.expectedMissedLayers(expertsPerToken);
  }

  /** Slots in a layer's pool: the most experts that {@link load} accepts at once. */
  slotCount(layer: LayerIndex): number {
    return this.#slots.slotCountOf(layer);
  }

  /** The expert's slot as kernels number it; undefined if it is not resident. */
  slotOf(layer: LayerIndex, expert: ExpertIndex): number | undefined {
    return this.#slots.slotOf(layer, expert);
  }

  /**
   * Makes all of `experts` resident. None of them is evicted until the next call. There must be at most
   * {@link slotCount} of them.
   * @param ready awaited before each upload, to limit how many uploads are queued
   * @returns for each expert a promise that resolves when its upload is queued; rejects with MixtabError `aborted`
   *   after {@link cancel} or {@link close}, or with the error of the read
   */
  load(layer: LayerIndex, experts: readonly ExpertIndex[], ready?: () => Promise<void>): Promise<void>[] {
    this.#slots.pinNeeded(layer, experts);
    return experts.map((expert) =>
      this.#slots.isResident(layer, expert) ? DONE : this.#loadOne(layer, expert, ready),
    );
  }

  /** Calls {@link load} and waits for all experts. */
  async loadAll(layer: LayerIndex, experts: readonly ExpertIndex[], ready?: () => Promise<void>): Promise<void> {
    await Promise.all(this.load(layer, experts, ready));
  }

  /**
   * Records which experts one token (or a prompt) uses in one layer, and cancels the layer's wrong predictions. Call it
   * before {@link load} loads the missing ones.
   * @returns `missing`: experts without a slot; `prefetchHits`: experts that have a slot thanks to a prediction
   */
  recordAccess(layer: LayerIndex, selectedExperts: ArrayLike<number>): { missing: number; prefetchHits: number } {
    const experts = distinctExperts(selectedExperts);
    this.#prefetcher.cancel(layer, new Set(experts));
    let missing = 0;
    let missingButPrefetched = 0;
    let prefetchHits = 0;
    for (const expert of experts) {
      const result = this.#slots.touch(layer, expert);
      if (result === 'missing') {
        missing++;
        if (this.#prefetcher.recordMiss(layer, expert)) missingButPrefetched++;
      } else if (result === 'prefetchHit') {
        prefetchHits++;
        this.#prefetcher.recordPrefetchHit();
      }
    }
    this.#statistics.recordAccess({ layer, experts, missing, missingButPrefetched, prefetchHits });
    return { missing, prefetchHits };
  }

  /** How many layers ahead predictions should be computed and passed to {@link prefetch}. */
  get predictionDepth(): 1 | 2 {
    return this.#prefetcher.predictionDepth;
  }

  /**
   * Prefetches predicted experts, see {@link Prefetcher.prefetchPredicted}. Call it after {@link load}, so that needed
   * experts are read first.
   * @param predictions the next layer first
   */
  prefetch(predictions: readonly Prediction[]): void {
    this.#prefetcher.prefetchPredicted(predictions);
  }

  /** Prefetches experts that {@link load} will certainly ask for soon. Until then they wait in main memory. */
  prefetchRecords(layer: LayerIndex, experts: readonly ExpertIndex[]): void {
    this.#prefetcher.prefetchRecords(layer, experts);
  }

  /** Cancels all prefetches for a layer. */
  cancelPrefetches(layer: LayerIndex): void {
    this.#prefetcher.cancel(layer);
  }

  /** Cancels all reads. Call it if an answer ends inside a layer, so that the next answer need not wait for them. */
  cancel(): void {
    for (let layer = 0; layer < this.#slots.layerCount; layer++) this.#prefetcher.cancel(layerIndex(layer));
    this.#loader.cancel();
  }

  /** Counts a token that had to wait for an expert. */
  countStall(): void {
    this.#statistics.countStall();
  }

  /** Hits, misses and bytes read since the last {@link resetCounts}. */
  report(): CacheReport {
    return this.#statistics.report();
  }

  /** Where every expert is now, and how often it was used since the last {@link resetCounts}. */
  residence(): Pick<ExpertsReport, 'residence' | 'uses' | 'newest'> {
    return this.#statistics.residence();
  }

  /** Starts the counts of {@link report} and {@link residence} at zero again. */
  resetCounts(): void {
    this.#statistics.reset();
  }

  /** Ends all reads and uploads: no expert gets a slot any more, because the slots are about to be destroyed. */
  close(): void {
    this.cancel();
    this.#slots.close();
    this.#ram.close();
  }

  async #loadOne(layer: LayerIndex, expert: ExpertIndex, ready?: () => Promise<void>): Promise<void> {
    let record: RecordParts | undefined;
    try {
      do {
        record = await this.waiting.during(this.#recordOf(layer, expert));
        await ready?.();
        // A prediction that shared the read may have uploaded the expert meanwhile.
        if (this.#slots.isResident(layer, expert)) return;
        // The expert may even have been evicted again. If its record's memory was recycled, it has to be read again.
      } while (this.#recycler.isRecycled(record));
      this.#slots.uploadNeeded(layer, expert, record);
    } finally {
      if (record) this.#slots.forget(record); // unless it was uploaded
    }
  }

  async #recordOf(layer: LayerIndex, expert: ExpertIndex): Promise<RecordParts> {
    const prefetch = this.#prefetcher.take(layer, expert);
    const record = prefetch && (await prefetch);
    return record ?? this.#loader.demand(layer, expert);
  }
}
