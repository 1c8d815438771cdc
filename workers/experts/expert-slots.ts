/**
 * Which experts have a GPU slot. This is the only place where residency, slot table and slot contents change, and they
 * change together. Which expert loses its slot is decided by `residency-policy.ts`.
 */
import { aborted } from '../../src/contract/errors.ts';
import { type ExpertId, type ExpertIndex, expertId, type LayerIndex } from '../../src/contract/ids.ts';
import type { RecordParts } from '../format/record-parts.ts';
import { AgedUses } from './aged-uses.ts';
import type { PoolPlan } from './budget.ts';
import type { RamOrder } from './ram-tier.ts';
import type { RecordRecycler } from './record-recycler.ts';
import { HALF_LIFE, nextVictimCount, ResidencyPolicy } from './residency-policy.ts';
import type { SlotMemory } from './slot-memory.ts';

/** What a token finds when it uses an expert. `prefetchHit`: a prediction has loaded it, and this is its first use. */
export type AccessResult = 'missing' | 'hit' | 'prefetchHit';

export interface ExpertSlotsOptions {
  memory: SlotMemory;
  pools: readonly PoolPlan[];
  expertsPerToken: number;
  recycler: RecordRecycler;
}

/** Which experts have a GPU slot. Residency, slot table and slot contents change together. */
export class ExpertSlots implements RamOrder {
  readonly #memory: SlotMemory;
  readonly #recycler: RecordRecycler;
  readonly #pools: ResidencyPolicy[];
  /** The pool of each layer. */
  readonly #poolOf: ResidencyPolicy[] = [];
  /** Uses of each layer's experts: unlike those of pools, they can be compared between layers. */
  readonly #uses: AgedUses[] = [];
  /** Experts of the current layer or wave. They must not be evicted before it is submitted. */
  #needed: ReadonlySet<ExpertId> = new Set();
  /** Experts that the next layer will probably need. They are evicted only for experts that are needed. */
  #predicted: ReadonlySet<ExpertId> = new Set();
  /** Resident experts that a prediction has loaded and no token has used yet. */
  readonly #unusedPrefetches = new Set<ExpertId>();
  #closed = false;

  constructor({ memory, pools, expertsPerToken, recycler }: ExpertSlotsOptions) {
    this.#memory = memory;
    this.#recycler = recycler;
    this.#pools = pools.map(({ layers, slots }) => {
      const pool = new ResidencyPolicy(slots, HALF_LIFE, nextVictimCount(slots, layers.length, expertsPerToken));
      for (const layer of layers) {
        this.#poolOf[layer] = pool;
        this.#uses[layer] = new AgedUses(HALF_LIFE);
      }
      return pool;
    });
  }

  get layerCount(): number {
    return this.#poolOf.length;
  }

  /** Experts per layer. */
  get expertCount(): number {
    return this.#memory.expertCount;
  }

  /** Where an expert with a slot is: one of `RESIDENCE`. */
  get residence(): SlotMemory['residence'] {
    return this.#memory.residence;
  }

  /** Slots of all layers. */
  get slotCount(): number {
    return this.#pools.reduce((sum, { slotCount }) => sum + slotCount, 0);
  }

  /** Slots in a layer's pool, which other layers may share. */
  slotCountOf(layer: LayerIndex): number {
    return this.#poolOf[layer].slotCount;
  }

  /** The expert's slot as kernels and slot table number it; undefined if it is not resident. */
  slotOf(layer: LayerIndex, expert: ExpertIndex): number | undefined {
    const id = this.idOf(layer, expert);
    const slot = this.#poolOf[layer].slotOf(id);
    return slot === undefined ? undefined : this.#memory.kernelSlotOf(id, slot);
  }

  /** Numbers an expert within the model. */
  idOf(layer: LayerIndex, expert: ExpertIndex): ExpertId {
    return expertId(layer, expert, this.expertCount);
  }

  /** The layer of an expert. */
  layerOf(expert: ExpertId): number {
    return Math.floor(expert / this.expertCount);
  }

  isResident(layer: LayerIndex, expert: ExpertIndex): boolean {
    return this.#poolOf[layer].slotOf(this.idOf(layer, expert)) !== undefined;
  }

  isSpare(expert: ExpertId): boolean {
    const pool = this.#poolOf[this.layerOf(expert)];
    return pool.slotOf(expert) !== undefined && !pool.isNextVictim(expert);
  }

  score(expert: ExpertId): number {
    return this.#uses[this.layerOf(expert)].score(expert);
  }

  /** Expected number of layers in which a token misses experts if the router selects all experts equally often. */
  expectedMissedLayers(expertsPerToken: number): number {
    const { expertCount } = this;
    const residents = new Uint32Array(this.layerCount);
    for (const pool of this.#pools) for (const id of pool.residents()) residents[this.layerOf(id)]++;
    return residents.reduce((sum, count) => {
      let allResident = 1;
      for (let rank = 0; rank < expertsPerToken; rank++) {
        allResident *= Math.max(0, count - rank) / (expertCount - rank);
      }
      return sum + 1 - allResident;
    }, 0);
  }

  /** Protects these experts from eviction until the next call. There must be at most as many as the layer has slots. */
  pinNeeded(layer: LayerIndex, experts: readonly ExpertIndex[]): void {
    this.#needed = new Set(experts.map((expert) => this.idOf(layer, expert)));
  }

  /**
   * Protects these experts until the next call: other predictions cannot evict them, and needed experts do so only if
   * there is no other slot.
   */
  pinPredicted(predictions: readonly { layer: LayerIndex; experts: readonly ExpertIndex[] }[]): void {
    const ids = predictions.flatMap(({ layer, experts }) => experts.map((expert) => this.idOf(layer, expert)));
    this.#predicted = new Set(ids);
  }

  /** Records that a token uses this expert. */
  touch(layer: LayerIndex, expert: ExpertIndex): AccessResult {
    const id = this.idOf(layer, expert);
    this.#poolOf[layer].touch(id);
    this.#uses[layer].touch(id);
    if (!this.isResident(layer, expert)) return 'missing';
    return this.#unusedPrefetches.delete(id) ? 'prefetchHit' : 'hit';
  }

  /**
   * Uploads an expert that is needed now. It may take the slot of a predicted expert if there is no other.
   * @throws MixtabError `aborted` if the model was unloaded
   */
  uploadNeeded(layer: LayerIndex, expert: ExpertIndex, record: RecordParts): void {
    const pinned = this.#pinned();
    this.#upload(layer, expert, record, this.#poolOf[layer].hasRoom(pinned) ? pinned : this.#needed);
  }

  /** True if the expert is still predicted and not resident, and has a slot that is neither needed nor predicted. */
  acceptsPrediction(layer: LayerIndex, expert: ExpertIndex): boolean {
    const isPredicted = this.#predicted.has(this.idOf(layer, expert));
    if (this.#closed || !isPredicted || this.isResident(layer, expert)) return false;
    return this.#poolOf[layer].hasRoom(this.#pinned());
  }

  /** Uploads a predicted expert for which {@link acceptsPrediction} is true. */
  uploadPredicted(layer: LayerIndex, expert: ExpertIndex, record: RecordParts): void {
    this.#upload(layer, expert, record, this.#pinned());
    this.#unusedPrefetches.add(this.idOf(layer, expert));
  }

  /** Call for a record that has been read and is not uploaded after all: nothing is prepared for that any more. */
  forget(record: RecordParts): void {
    this.#memory.forget?.(record);
  }

  /** Refuses further uploads, because the slots are about to be destroyed. */
  close(): void {
    this.#closed = true;
  }

  /** Must not await: residency, slot table and slot contents have to change as one. */
  #upload(layer: LayerIndex, expert: ExpertIndex, record: RecordParts, keep: ReadonlySet<ExpertId>): void {
    if (this.#closed) throw aborted('The model was unloaded.');
    const id = this.idOf(layer, expert);
    const pool = this.#poolOf[layer];
    const { slot, evicted } = pool.assign(id, keep);
    if (evicted !== undefined) {
      this.#memory.setSlot(evicted, undefined);
      this.#unusedPrefetches.delete(evicted);
    }
    try {
      this.#memory.upload(id, slot, record);
    } catch (error) {
      pool.release(id); // the slot may be half written: no expert may claim it
      throw error;
    }
    this.#memory.setSlot(id, slot);
    this.#recycler.keepOrRecycle(id, record);
  }

  #pinned(): ReadonlySet<ExpertId> {
    return new Set([...this.#needed, ...this.#predicted]);
  }
}
