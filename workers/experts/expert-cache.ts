/**
 * Brings experts into slots: GPU slot, else main memory, else the store. The only place where
 * residency, slot table and slots change together.
 */
import { type CacheReport, type ExpertsReport, RESIDENCE } from '../../src/contract/engine-api.ts';
import { aborted } from '../../src/contract/errors.ts';
import {
  type Bytes,
  type ExpertId,
  type ExpertIndex,
  expertId,
  type LayerIndex,
  layerIndex,
} from '../../src/contract/ids.ts';
import { Stopwatch } from '../compute/gpu/stopwatch.ts';
import { expertKey, isExpertKeyOf } from '../format/manifest.ts';
import type { RecordParts } from '../format/record-parts.ts';
import type { PoolPlan } from './budget.ts';
import { ExpertLoader, type ReadExpert } from './expert-loader.ts';
import { RamTier } from './ram-tier.ts';
import { distinctExperts, SlotResidency } from './residency.ts';
import type { SlotMemory } from './slot-memory.ts';

/** What a layer will probably need, likeliest first. */
export interface Prediction {
  layer: LayerIndex;
  experts: readonly ExpertIndex[];
}

export class ExpertCache {
  readonly #pools: SlotResidency[];
  /** The pool of each layer. */
  readonly #poolOf: SlotResidency[] = [];
  readonly #ram: RamTier<RecordParts>;
  readonly #loader: ExpertLoader<RecordParts>;
  /** What the layer or wave under way needs: not to be evicted before it is submitted. */
  #needed: ReadonlySet<ExpertId> = new Set();
  /** What the next layer will probably need. */
  #predicted: ReadonlySet<ExpertId> = new Set();
  /** Whether the newest prediction that proved right was still being read then. */
  #predictionsComeLate = false;
  /** What {@link prefetchRecords} has asked for and {@link load} has not taken yet. */
  readonly #prefetches = new Map<string, Promise<RecordParts | undefined>>();
  /** Experts that came by prediction and no token has used yet. */
  readonly #unusedPrefetches = new Set<string>();
  /** Records that were copied to a slot at least once. */
  readonly #uploaded = new WeakSet<RecordParts>();
  /** Records whose memory is being read into again: no longer to be looked at. */
  readonly #recycled = new WeakSet<RecordParts>();
  /** Runs while {@link load} waits for an expert; others of its layer may compute meanwhile. */
  readonly waiting = new Stopwatch();
  /** Times that each expert was used since the last {@link resetCounts}, by its id. */
  readonly #uses: Uint32Array<ArrayBuffer>;
  /** Experts that the newest token used, by layer. */
  #newest: (readonly ExpertIndex[])[] = [];
  #counts = zeroCounts();
  #bytesReadBefore: Bytes = 0;
  #closed = false;

  /** @param recycle takes the memory of records that are in a slot and not kept in main memory */
  constructor(
    readonly memory: SlotMemory,
    pools: readonly PoolPlan[],
    read: ReadExpert<RecordParts>,
    ramBudgetBytes: Bytes,
    private readonly recycle: (record: RecordParts) => void = () => {},
  ) {
    this.#pools = pools.map(({ layers, slots }) => {
      const residency = new SlotResidency(slots);
      for (const layer of layers) this.#poolOf[layer] = residency;
      return residency;
    });
    this.#uses = new Uint32Array(this.#poolOf.length * memory.expertCount);
    this.#ram = new RamTier(ramBudgetBytes);
    this.#loader = new ExpertLoader(read, this.#ram, undefined, (record) => this.#recycleUploaded(record));
  }

  get ramBytes(): Bytes {
    return this.#ram.bytes;
  }

  /**
   * Layers in which a token will miss experts, on average, if all are chosen equally often; 0 where every expert has its slot for
   * good, so that nothing will ever have to be loaded.
   */
  layersToMiss(expertsPerToken: number): number {
    const { expertCount } = this.memory;
    const resident = new Uint32Array(this.#poolOf.length);
    for (const pool of this.#pools) for (const id of pool.residents()) resident[Math.floor(id / expertCount)]++;
    return resident.reduce((sum, count) => {
      let allThere = 1;
      for (let chosen = 0; chosen < expertsPerToken; chosen++)
        allThere *= Math.max(0, count - chosen) / (expertCount - chosen);
      return sum + 1 - allThere;
    }, 0);
  }

  /** Slots that a layer's experts may take. */
  slotCount(layer: LayerIndex): number {
    return this.#poolOf[layer].slotCount;
  }

  /** The expert's slot as kernels count them; undefined where it has none. */
  slotOf(layer: LayerIndex, expert: ExpertIndex): number | undefined {
    const slot = this.#poolOf[layer].slotOf(this.#id(layer, expert));
    return slot === undefined ? undefined : this.memory.viewOf(this.#id(layer, expert), slot);
  }

  /**
   * Makes all of `experts` resident. Until the next call none of them is evicted for another. There may be no more of them
   * than the layer has slots.
   * @param ready called before each upload, which may wait there
   * @returns for each of them what resolves when its upload is queued
   */
  load(layer: LayerIndex, experts: readonly ExpertIndex[], ready?: () => Promise<void>): Promise<void>[] {
    this.#needed = new Set(experts.map((expert) => this.#id(layer, expert)));
    return experts.map(async (expert) => {
      if (this.slotOf(layer, expert) !== undefined) return;
      let record: RecordParts;
      do {
        record = await this.waiting.during(this.#arrivalOf(layer, expert));
        await ready?.();
        // A prediction that was under way may have placed it in the meantime.
        if (this.slotOf(layer, expert) !== undefined) return;
        // Or it was placed, lost its slot again, and its memory is another's by now.
      } while (this.#recycled.has(record));
      const both = new Set([...this.#needed, ...this.#predicted]);
      this.#uploadToSlot(layer, expert, record, this.#poolOf[layer].hasRoom(both) ? both : this.#needed);
    });
  }

  /** The same, for who can do nothing before all are there. */
  async loadAll(layer: LayerIndex, experts: readonly ExpertIndex[], ready?: () => Promise<void>): Promise<void> {
    await Promise.all(this.load(layer, experts, ready));
  }

  /**
   * How many layers ahead predictions are worth reading: where they come early enough from the next layer, those of the one behind it, which are less
   * sure, would save nothing.
   */
  get predictionDepth(): 1 | 2 {
    return this.#predictionsComeLate ? 2 : 1;
  }

  /**
   * Starts to read experts that the next layers will probably need, as soon as there is nothing to read that is needed: call it
   * after {@link load}. The next layer's get the slots of experts that are neither needed nor predicted when they arrive; where there
   * are none they wait in main memory. So do those of the layer behind. What was predicted of these layers before and is not any more is
   * taken back.
   * @param predictions the next layer first
   */
  prefetch(predictions: readonly Prediction[]): void {
    const next = predictions.slice(0, 1);
    this.#predicted = new Set(next.flatMap(({ layer, experts }) => experts.map((expert) => this.#id(layer, expert))));
    for (const { layer, experts } of predictions.slice(0, this.predictionDepth)) {
      this.cancelPrefetches(layer, new Set(experts));
      for (const expert of experts) if (this.slotOf(layer, expert) === undefined) this.#predict(layer, expert);
    }
  }

  #predict(layer: LayerIndex, expert: ExpertIndex): void {
    const key = expertKey(layer, expert);
    const arrival = this.#prefetches.get(key) ?? this.#loader.predict(layer, expert);
    this.#prefetches.set(key, arrival);
    const arrived = (record: RecordParts | undefined): void => {
      const isWanted = this.#predicted.has(this.#id(layer, expert)) && this.#prefetches.get(key) === arrival; // bring was not faster
      if (!record || !isWanted || this.#closed || this.#recycled.has(record)) return;
      const keep = new Set([...this.#needed, ...this.#predicted]);
      if (this.slotOf(layer, expert) !== undefined || !this.#poolOf[layer].hasRoom(keep)) return;
      this.#prefetches.delete(key);
      this.#uploadToSlot(layer, expert, record, keep);
      this.#unusedPrefetches.add(key);
    };
    arrival.then(arrived).catch(() => {}); // whoever demands it meets the error
  }

  /** Starts to read experts that {@link load} will ask for soon; until then they wait in main memory. */
  prefetchRecords(layer: LayerIndex, experts: readonly ExpertIndex[]): void {
    for (const expert of experts) {
      const key = expertKey(layer, expert);
      if (this.slotOf(layer, expert) !== undefined || this.#prefetches.has(key)) continue;
      const record = this.#loader.prefetch(layer, expert);
      record.catch(() => {}); // whoever takes it meets the error
      this.#prefetches.set(key, record);
    }
  }

  /** Lets go of what was read ahead for a layer, but for `keep`. */
  cancelPrefetches(layer: LayerIndex, keep: ReadonlySet<ExpertIndex> = new Set()): void {
    this.#loader.cancelPredictions(layer, keep);
    const kept = new Set([...keep].map((expert) => expertKey(layer, expert)));
    for (const [key, arrival] of this.#prefetches) {
      if (!isExpertKeyOf(key, layer) || kept.has(key)) continue;
      this.#prefetches.delete(key);
      const discard = (record: RecordParts | undefined): void => {
        if (record && !this.#ram.has(key)) this.#recycleOnce(record);
      };
      arrival.then(discard, () => {}); // nobody wants to hear of an error any more
    }
  }

  /** Takes back all reads, where an answer ends amid a layer: the next one should not have to wait for them. */
  cancel(): void {
    for (let layer = 0; layer < this.#poolOf.length; layer++) this.cancelPrefetches(layerIndex(layer));
    this.#loader.cancel();
  }

  /**
   * Notes what one token (or a prompt) uses in one layer, before {@link load} loads what is missing; predictions that
   * proved wrong are taken back.
   * @returns experts that have no slot, and those that have one since they were predicted
   */
  recordAccess(layer: LayerIndex, selectedExperts: ArrayLike<number>): { missing: number; prefetchHits: number } {
    const distinct = distinctExperts(selectedExperts);
    this.cancelPrefetches(layer, new Set(distinct));
    let missing = 0;
    let prefetchHits = 0;
    for (const expert of distinct) {
      const key = expertKey(layer, expert);
      if (this.slotOf(layer, expert) === undefined) {
        missing++;
        if (this.#prefetches.has(key)) {
          this.#counts.prefetched++;
          this.#predictionsComeLate = this.#loader.isLoading(layer, expert);
        }
      } else if (this.#unusedPrefetches.delete(key)) {
        prefetchHits++;
        this.#predictionsComeLate = false;
      }
      this.#poolOf[layer].touch(this.#id(layer, expert));
      this.#uses[this.#id(layer, expert)]++;
    }
    this.#newest[layer] = distinct;
    this.#counts.misses += missing + prefetchHits;
    this.#counts.prefetched += prefetchHits;
    this.#counts.hits += distinct.length - missing - prefetchHits;
    return { missing, prefetchHits };
  }

  countStall(): void {
    this.#counts.stalls++;
  }

  /** Counts since the last {@link resetCounts}. */
  report(): CacheReport {
    const { hits, misses } = this.#counts;
    const slots = this.#pools.reduce((sum, { slotCount }) => sum + slotCount, 0);
    const bytesRead = this.#loader.bytesRead - this.#bytesReadBefore;
    return { slots, ...this.#counts, hitRate: hits + misses ? hits / (hits + misses) : 1, bytesRead };
  }

  /** Where every expert is, and which were used since the last {@link resetCounts}. */
  residence(): Pick<ExpertsReport, 'residence' | 'uses' | 'newest'> {
    const { expertCount } = this.memory;
    const residence = new Uint8Array(this.#uses.length);
    const newest = new Uint8Array(this.#uses.length);
    for (let id = 0; id < residence.length; id++) {
      const pool = this.#poolOf[Math.floor(id / expertCount)];
      if (pool.slotOf(id as ExpertId) !== undefined) residence[id] = RESIDENCE.gpu;
      else if (this.#ram.has(this.#keyOf(id as ExpertId))) residence[id] = RESIDENCE.ram;
    }
    for (const [layer, experts] of this.#newest.entries())
      for (const expert of experts ?? []) newest[layer * expertCount + expert] = 1;
    return { residence, uses: this.#uses.slice(), newest };
  }

  resetCounts(): void {
    this.#uses.fill(0);
    this.#newest = [];
    this.#counts = zeroCounts();
    this.#bytesReadBefore = this.#loader.bytesRead;
  }

  /** Experts that are still on their way are not placed any more: their slots are about to be destroyed. */
  close(): void {
    this.#closed = true;
  }

  /** Nothing awaits in here: residency, table and slot change as one. */
  #uploadToSlot(layer: LayerIndex, expert: ExpertIndex, record: RecordParts, keep: ReadonlySet<ExpertId>): void {
    if (this.#closed) throw aborted('The model was unloaded.');
    const id = this.#id(layer, expert);
    const { slot, evicted } = this.#poolOf[layer].assign(id, keep);
    if (evicted !== undefined) {
      this.memory.setSlot(evicted, undefined);
      this.#unusedPrefetches.delete(this.#keyOf(evicted));
    }
    try {
      this.memory.upload(id, slot, record);
    } catch (error) {
      this.#poolOf[layer].release(id); // what the slot holds now is nobody's
      throw error;
    }
    this.memory.setSlot(id, slot);
    this.#uploaded.add(record);
    if (!this.#ram.has(expertKey(layer, expert))) this.#recycleUploaded(record);
  }

  #recycleUploaded(record: RecordParts): void {
    if (this.#uploaded.has(record)) this.#recycleOnce(record);
  }

  /** Its memory is free for other records; whoever still gets this one has to ask for it again. */
  #recycleOnce(record: RecordParts): void {
    if (this.#recycled.has(record)) return;
    this.#recycled.add(record);
    this.recycle(record);
  }

  #id(layer: LayerIndex, expert: ExpertIndex): ExpertId {
    return expertId(layer, expert, this.memory.expertCount);
  }

  #keyOf(id: ExpertId): string {
    const { expertCount } = this.memory;
    return expertKey(Math.floor(id / expertCount), id % expertCount);
  }

  async #arrivalOf(layer: LayerIndex, expert: ExpertIndex): Promise<RecordParts> {
    const key = expertKey(layer, expert);
    const ahead = this.#prefetches.get(key);
    this.#prefetches.delete(key);
    // While it is being read, the loader has to know that it is no guess any more; afterwards, only we may still have it.
    const arrived = ahead && !this.#loader.isLoading(layer, expert) ? await ahead : undefined;
    return arrived ?? this.#loader.demand(layer, expert);
  }
}

const zeroCounts = () => ({ hits: 0, misses: 0, prefetched: 0, stalls: 0 });
