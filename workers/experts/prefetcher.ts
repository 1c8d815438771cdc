/** Reads experts before they are needed: predicted ones, and those that are certain to be needed soon. */
import type { ExpertId, ExpertIndex, LayerIndex } from '../../src/contract/ids.ts';
import type { RecordParts } from '../format/record-parts.ts';
import type { ExpertLoader } from './expert-loader.ts';
import type { ExpertSlots } from './expert-slots.ts';
import type { RecordRecycler } from './record-recycler.ts';

/** Experts that a layer will probably need, most likely first. */
export interface Prediction {
  layer: LayerIndex;
  experts: readonly ExpertIndex[];
}

/** A record that is being read; undefined if the read is cancelled. */
type Prefetch = Promise<RecordParts | undefined>;

export interface PrefetcherOptions {
  slots: ExpertSlots;
  loader: ExpertLoader<RecordParts>;
  recycler: RecordRecycler;
}

/** Reads experts before they are needed, and hands their records over when they are. */
export class Prefetcher {
  readonly #slots: ExpertSlots;
  readonly #loader: ExpertLoader<RecordParts>;
  readonly #recycler: RecordRecycler;
  /** Prefetches by expert, until the record is in a slot, is taken by {@link take}, or is cancelled. */
  readonly #prefetches = new Map<ExpertId, Prefetch>();
  /** Whether the latest correct prediction was still being read when its expert was needed. */
  #predictionsComeLate = false;

  constructor({ slots, loader, recycler }: PrefetcherOptions) {
    this.#slots = slots;
    this.#loader = loader;
    this.#recycler = recycler;
  }

  /**
   * How many layers ahead to prefetch. Predictions for the layer after the next are less certain, so they are worth
   * reading only if those for the next layer come too late.
   */
  get predictionDepth(): 1 | 2 {
    return this.#predictionsComeLate ? 2 : 1;
  }

  /**
   * Prefetches predicted experts as soon as the reader has nothing more important to do.
   *
   * Experts of the next layer get slots whose experts are neither needed nor predicted; if there are none, their
   * records wait in main memory. So do the records of the layer after the next. Earlier prefetches for the same layers
   * that are no longer predicted are cancelled.
   * @param predictions the next layer first; at most {@link predictionDepth} are used
   */
  prefetchPredicted(predictions: readonly Prediction[]): void {
    this.#slots.pinPredicted(predictions.slice(0, 1));
    for (const { layer, experts } of predictions.slice(0, this.predictionDepth)) {
      this.cancel(layer, new Set(experts));
      for (const expert of experts) if (!this.#slots.isResident(layer, expert)) this.#prefetchPrediction(layer, expert);
    }
  }

  /** Prefetches records that are certain to be needed soon. They wait in main memory until they are. */
  prefetchRecords(layer: LayerIndex, experts: readonly ExpertIndex[]): void {
    for (const expert of experts) {
      const id = this.#slots.idOf(layer, expert);
      if (this.#slots.isResident(layer, expert) || this.#prefetches.has(id)) continue;
      const record = this.#loader.prefetch(layer, expert);
      record.catch(() => {}); // reported to the caller that takes the record
      this.#prefetches.set(id, record);
    }
  }

  /** Cancels the prefetches for a layer, except those in `keep`, and recycles what was already read. */
  cancel(layer: LayerIndex, keep: ReadonlySet<ExpertIndex> = new Set()): void {
    this.#loader.cancelPrefetches(layer, keep);
    const keepIds = new Set([...keep].map((expert) => this.#slots.idOf(layer, expert)));
    for (const [id, prefetch] of this.#prefetches) {
      if (this.#slots.layerOf(id) !== layer || keepIds.has(id)) continue;
      this.#prefetches.delete(id);
      const recycle = (record: RecordParts | undefined): void => {
        if (!record) return;
        this.#slots.forget(record);
        this.#recycler.keepOrRecycle(id, record);
      };
      prefetch.then(recycle, () => {}); // errors of cancelled reads do not matter
    }
  }

  /**
   * Hands a prefetched record over to a caller that needs it now.
   * @returns undefined if the expert was not prefetched, or is still being read: the caller then has to demand it from
   *   the loader, which raises the priority of the read
   */
  take(layer: LayerIndex, expert: ExpertIndex): Prefetch | undefined {
    const id = this.#slots.idOf(layer, expert);
    const prefetch = this.#prefetches.get(id);
    this.#prefetches.delete(id);
    return this.#loader.isLoading(layer, expert) ? undefined : prefetch;
  }

  /** Records that an expert without a slot is needed. Returns whether it is being prefetched. */
  recordMiss(layer: LayerIndex, expert: ExpertIndex): boolean {
    if (!this.#prefetches.has(this.#slots.idOf(layer, expert))) return false;
    this.#predictionsComeLate = this.#loader.isLoading(layer, expert);
    return true;
  }

  /** Records that a predicted expert got its slot before it was needed. */
  recordPrefetchHit(): void {
    this.#predictionsComeLate = false;
  }

  #prefetchPrediction(layer: LayerIndex, expert: ExpertIndex): void {
    const id = this.#slots.idOf(layer, expert);
    const prefetch = this.#prefetches.get(id) ?? this.#loader.prefetchPredicted(layer, expert);
    this.#prefetches.set(id, prefetch);
    const upload = (record: RecordParts | undefined): void => {
      const isCurrent = this.#prefetches.get(id) === prefetch; // neither taken nor cancelled
      if (!record || !isCurrent || this.#recycler.isRecycled(record)) return;
      if (!this.#slots.acceptsPrediction(layer, expert)) return;
      this.#prefetches.delete(id);
      this.#slots.uploadPredicted(layer, expert, record);
    };
    prefetch.then(upload).catch(() => {}); // reported to the caller that demands the expert
  }
}
