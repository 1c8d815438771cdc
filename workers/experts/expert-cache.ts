/**
 * Brings experts into slots: GPU slot, else main memory, else the store. The only place where
 * residency, slot table and slots change together.
 */
import type { CacheReport } from '../../src/contract/engine-api.ts';
import type { Bytes, ExpertIndex, LayerIndex } from '../../src/contract/ids.ts';
import { expertKey } from '../../src/contract/weight-layout.ts';
import { RamTier } from './ram-tier.ts';
import { distinctExperts, LayerResidency } from './residency.ts';
import type { SlotPool } from './slot-pool.ts';

/** Reads an expert's record from the store. */
export type ReadExpert = (layer: LayerIndex, expert: ExpertIndex) => Promise<Uint8Array<ArrayBuffer>>;

export class ExpertCache {
  readonly #layers: LayerResidency[];
  readonly #ram: RamTier;
  #counts = { hits: 0, misses: 0, bytesRead: 0, stalls: 0 };

  constructor(
    readonly pool: SlotPool,
    slotCounts: readonly number[],
    private readonly read: ReadExpert,
    ramBudgetBytes: Bytes,
  ) {
    this.#layers = slotCounts.map((count) => new LayerResidency(count));
    this.#ram = new RamTier(ramBudgetBytes);
  }

  get ramBytes(): Bytes {
    return this.#ram.bytes;
  }

  slotCount(layer: LayerIndex): number {
    return this.#layers[layer].slotCount;
  }

  /** The slot as kernels count them; undefined where the expert has none. */
  slotOf(layer: LayerIndex, expert: ExpertIndex): number | undefined {
    const slot = this.#layers[layer].slotOf(expert);
    return slot === undefined ? undefined : this.pool.viewOf(layer, expert, slot);
  }

  /**
   * Makes all of `experts` resident; returns when their uploads are queued. None of them is evicted
   * for another; there may be no more of them than the layer has slots.
   * @param keep further experts that may not be evicted
   */
  async ensure(layer: LayerIndex, experts: readonly ExpertIndex[], keep: readonly ExpertIndex[] = []): Promise<void> {
    const residency = this.#layers[layer];
    const pinned = new Set([...experts, ...keep]);
    const missing = experts.filter((expert) => residency.slotOf(expert) === undefined);
    await Promise.all(
      missing.map(async (expert) => {
        const record = await this.#fetch(layer, expert);
        // From here to the end nothing awaits: residency, table and slot change as one.
        const { slot, evicted } = residency.place(expert, pinned);
        if (evicted !== undefined) this.pool.setSlot(layer, evicted, undefined);
        this.pool.upload(layer, expert, slot, record);
        this.pool.setSlot(layer, expert, slot);
      }),
    );
  }

  /**
   * Notes what one token used in one layer.
   * @param choices its chosen experts
   * @param missed how many of them had to be loaded for it
   */
  count(layer: LayerIndex, choices: ArrayLike<number>, missed: number): void {
    for (const expert of distinctExperts(choices)) this.#layers[layer].touch(expert);
    this.#counts.misses += missed;
    this.#counts.hits += choices.length - missed;
  }

  countStall(): void {
    this.#counts.stalls++;
  }

  /** Counts since the last {@link resetCounts}. */
  report(): CacheReport {
    const { hits, misses, bytesRead, stalls } = this.#counts;
    const slots = this.#layers.reduce((sum, { slotCount }) => sum + slotCount, 0);
    return { slots, hits, misses, hitRate: hits + misses ? hits / (hits + misses) : 1, bytesRead, stalls };
  }

  resetCounts(): void {
    this.#counts = { hits: 0, misses: 0, bytesRead: 0, stalls: 0 };
  }

  async #fetch(layer: LayerIndex, expert: ExpertIndex): Promise<Uint8Array<ArrayBuffer>> {
    const key = expertKey(layer, expert);
    const kept = this.#ram.get(key);
    if (kept) return kept;
    const record = await this.read(layer, expert);
    this.#counts.bytesRead += record.byteLength;
    this.#ram.put(key, record);
    return record;
  }
}
