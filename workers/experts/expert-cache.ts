/**
 * Brings experts into slots: GPU slot, else main memory, else the store. The only place where
 * residency, slot table and slots change together.
 */
import type { CacheReport } from '../../src/contract/engine-api.ts';
import type { Bytes, ExpertIndex, LayerIndex } from '../../src/contract/ids.ts';
import { expertKey } from '../../src/contract/weight-layout.ts';
import { ExpertLoader, type ReadExpert } from './expert-loader.ts';
import { RamTier } from './ram-tier.ts';
import { distinctExperts, LayerResidency } from './residency.ts';
import type { SlotPool } from './slot-pool.ts';

export class ExpertCache {
  readonly #layers: LayerResidency[];
  readonly #ram: RamTier;
  readonly #loader: ExpertLoader;
  /** Experts of each layer that the token or wave under way needs. */
  readonly #pinned: ReadonlySet<ExpertIndex>[];
  /** What {@link readAhead} has asked for and {@link ensure} has not taken yet. */
  readonly #ahead = new Map<string, Promise<Uint8Array<ArrayBuffer> | undefined>>();
  /** Experts that came by prediction and no token has used yet. */
  readonly #untried = new Set<string>();
  #counts = zeroCounts();
  #bytesReadBefore: Bytes = 0;

  constructor(
    readonly pool: SlotPool,
    slotCounts: readonly number[],
    read: ReadExpert,
    ramBudgetBytes: Bytes,
  ) {
    this.#layers = slotCounts.map((count) => new LayerResidency(count));
    this.#pinned = slotCounts.map(() => new Set());
    this.#ram = new RamTier(ramBudgetBytes);
    this.#loader = new ExpertLoader(read, this.#ram);
  }

  get ramBytes(): Bytes {
    return this.#ram.bytes;
  }

  /** True where every expert has its slot for good: nothing will ever have to be loaded. */
  get complete(): boolean {
    return this.#layers.every((layer) => layer.residents().length >= this.pool.expertCount);
  }

  slotCount(layer: LayerIndex): number {
    return this.#layers[layer].slotCount;
  }

  slotOf(layer: LayerIndex, expert: ExpertIndex): number | undefined {
    return this.#layers[layer].slotOf(expert);
  }

  /**
   * Makes all of `experts` resident; returns when their uploads are queued. They are pinned until the layer's next
   * call: none of them is evicted for another. There may be no more of them than the layer has slots.
   * @param ready called before each upload, which may wait there
   */
  async ensure(layer: LayerIndex, experts: readonly ExpertIndex[], ready?: () => Promise<void>): Promise<void> {
    const residency = this.#layers[layer];
    const pinned = new Set(experts);
    this.#pinned[layer] = pinned;
    const missing = experts.filter((expert) => residency.slotOf(expert) === undefined);
    await Promise.all(
      missing.map(async (expert) => {
        const record = (await this.#takeAhead(layer, expert)) ?? (await this.#loader.demand(layer, expert));
        await ready?.();
        // A prediction that was under way may have placed it in the meantime.
        if (residency.slotOf(expert) === undefined) this.#place(layer, expert, record, pinned);
      }),
    );
  }

  /**
   * Starts to read experts that a layer will probably need, after what is needed now. They get slots when they arrive,
   * if need be those of experts that are not predicted.
   */
  prefetch(layer: LayerIndex, experts: readonly ExpertIndex[]): void {
    const residency = this.#layers[layer];
    this.#pinned[layer] = new Set(experts); // what the layer's last token needed is submitted long since
    for (const expert of experts) {
      if (residency.slotOf(expert) !== undefined) continue;
      this.#loader.predict(layer, expert).then(
        (record) => {
          if (!record || residency.slotOf(expert) !== undefined) return;
          const pinned = this.#pinned[layer];
          const residents = residency.residents();
          if (residents.length === residency.slotCount && residents.every((resident) => pinned.has(resident))) return;
          this.#place(layer, expert, record, pinned);
          this.#untried.add(expertKey(layer, expert));
        },
        () => {}, // whoever demands it meets the error
      );
    }
  }

  /** Starts to read experts that {@link ensure} will ask for soon; until then they wait in main memory. */
  readAhead(layer: LayerIndex, experts: readonly ExpertIndex[]): void {
    for (const expert of experts) {
      const key = expertKey(layer, expert);
      if (this.#layers[layer].slotOf(expert) !== undefined || this.#ahead.has(key)) continue;
      const record = this.#loader.predict(layer, expert);
      record.catch(() => {}); // whoever takes it meets the error
      this.#ahead.set(key, record);
    }
  }

  /** Lets go of what was read ahead for a layer and not asked for. */
  forgetReadAhead(layer: LayerIndex): void {
    this.#loader.dropPredictions(layer, new Set());
    for (const key of this.#ahead.keys()) if (key.startsWith(`L${layer}.E`)) this.#ahead.delete(key);
  }

  /**
   * Notes what one token (or a prompt) uses in one layer, before {@link ensure} loads what is missing; predictions that
   * proved wrong are not read any more.
   */
  use(layer: LayerIndex, choices: ArrayLike<number>): { missing: number } {
    let missing = 0;
    let hidden = 0;
    this.#loader.dropPredictions(layer, new Set(distinctExperts(choices)));
    for (const expert of distinctExperts(choices)) {
      const resident = this.#layers[layer].slotOf(expert) !== undefined;
      if (!resident) missing++;
      else if (this.#untried.delete(expertKey(layer, expert))) hidden++;
      this.#layers[layer].touch(expert);
    }
    this.#counts.misses += missing + hidden;
    this.#counts.prefetched += hidden;
    this.#counts.hits += distinctExperts(choices).length - missing - hidden;
    return { missing };
  }

  countStall(): void {
    this.#counts.stalls++;
  }

  /** Counts since the last {@link resetCounts}. */
  report(): CacheReport {
    const { hits, misses } = this.#counts;
    const slots = this.#layers.reduce((sum, { slotCount }) => sum + slotCount, 0);
    const bytesRead = this.#loader.bytesRead - this.#bytesReadBefore;
    return { slots, ...this.#counts, hitRate: hits + misses ? hits / (hits + misses) : 1, bytesRead };
  }

  resetCounts(): void {
    this.#counts = zeroCounts();
    this.#bytesReadBefore = this.#loader.bytesRead;
  }

  /** Nothing awaits in here: residency, table and slot change as one. */
  #place(layer: LayerIndex, expert: ExpertIndex, record: Uint8Array<ArrayBuffer>, pinned: ReadonlySet<ExpertIndex>): void {
    const { slot, evicted } = this.#layers[layer].place(expert, pinned);
    if (evicted !== undefined) {
      this.pool.setSlot(layer, evicted, undefined);
      this.#untried.delete(expertKey(layer, evicted));
    }
    this.pool.upload(layer, slot, record);
    this.pool.setSlot(layer, expert, slot);
  }

  #takeAhead(layer: LayerIndex, expert: ExpertIndex): Promise<Uint8Array<ArrayBuffer> | undefined> | undefined {
    const key = expertKey(layer, expert);
    const record = this.#ahead.get(key);
    this.#ahead.delete(key);
    return record;
  }
}

const zeroCounts = () => ({ hits: 0, misses: 0, prefetched: 0, stalls: 0 });
