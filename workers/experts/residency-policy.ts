/**
 * The eviction policy: which experts are in which slots of one pool. A pool serves one layer, or several layers that
 * share it.
 *
 * The policy is least frequently used (LFU) with aging: a use counts half after 64 further tokens. For hit rates of
 * this and other policies see docs/measurements/streaming.md. The caller passes the experts that must stay (`keep`),
 * such as those of the current token.
 *
 * Pure: it knows neither the GPU nor the store, so `replay.ts` can run it on recorded routing.
 */
import { type ExpertId, type SlotIndex, slotIndex } from '../../src/contract/ids.ts';

/** The slot that an expert was given, and the expert that lost it, if any. */
export interface SlotAssignment {
  slot: SlotIndex;
  evicted: ExpertId | undefined;
}

/** Uses of the pool after which a use counts half: 64 tokens with two experts each. */
const HALF_LIFE = 128;

/**
 * The experts in the slots of one pool. If there is no empty slot, the least frequently used expert is evicted; a use
 * counts half after `halfLife` further uses.
 */
export class ResidencyPolicy {
  /** Expert in each slot; undefined if the slot is empty. */
  readonly #experts: (ExpertId | undefined)[];
  readonly #slots = new Map<ExpertId, SlotIndex>();
  /** Aged use count of each expert at its last use, and the time of that use. Includes experts without a slot. */
  readonly #uses = new Map<ExpertId, { count: number; at: number }>();
  /** Uses of the pool so far. */
  #clock = 0;

  /**
   * @param slotCount at least the number of experts that one token uses in one layer
   * @param halfLife uses of the pool after which a use counts half; 0.5 or less is the same as least recently used
   */
  constructor(
    readonly slotCount: number,
    readonly halfLife = HALF_LIFE,
  ) {
    this.#experts = new Array(slotCount).fill(undefined);
  }

  /** The expert's slot; undefined if it is not resident. */
  slotOf(expert: ExpertId): SlotIndex | undefined {
    return this.#slots.get(expert);
  }

  /** The resident experts, in slot order. */
  residents(): ExpertId[] {
    return this.#experts.filter((expert) => expert !== undefined);
  }

  /** True if {@link assign} with the same `keep` would find a slot. */
  hasRoom(keep: ReadonlySet<ExpertId>): boolean {
    return this.#experts.some((expert) => expert === undefined || !keep.has(expert));
  }

  /** Records that a token used this expert, resident or not. */
  touch(expert: ExpertId): void {
    const uses = this.#uses.get(expert);
    this.#clock++;
    const count = uses ? uses.count * 0.5 ** ((this.#clock - uses.at) / this.halfLife) : 0;
    this.#uses.set(expert, { count: count + 1, at: this.#clock });
  }

  /**
   * Gives `expert`, which must not be resident, an empty slot or that of the least used expert outside `keep`.
   * @throws RangeError if every slot holds an expert of `keep`: the caller pins more experts than there are slots
   */
  assign(expert: ExpertId, keep: ReadonlySet<ExpertId>): SlotAssignment {
    const slot = this.#chooseSlot(keep);
    const evicted = this.#experts[slot];
    if (evicted !== undefined) this.#slots.delete(evicted);
    this.#experts[slot] = expert;
    this.#slots.set(expert, slot);
    return { slot, evicted };
  }

  /** Empties the slot of `expert`, for example after its upload failed. */
  release(expert: ExpertId): void {
    const slot = this.#slots.get(expert);
    if (slot === undefined) return;
    this.#slots.delete(expert);
    this.#experts[slot] = undefined;
  }

  #chooseSlot(keep: ReadonlySet<ExpertId>): SlotIndex {
    let victim = -1;
    let least = 0;
    for (let slot = 0; slot < this.slotCount; slot++) {
      const expert = this.#experts[slot];
      if (expert === undefined) return slotIndex(slot);
      if (keep.has(expert)) continue;
      const score = this.#score(expert);
      if (victim >= 0 && score >= least) continue;
      victim = slot;
      least = score;
    }
    if (victim < 0) throw new RangeError(`all ${this.slotCount} slots are pinned`);
    return slotIndex(victim);
  }

  /**
   * Orders experts by their aged use count. It is the count's logarithm plus a term that is the same for all experts,
   * because the count itself would underflow with age.
   */
  #score(expert: ExpertId): number {
    const uses = this.#uses.get(expert);
    return uses ? Math.log2(uses.count) + uses.at / this.halfLife : Number.NEGATIVE_INFINITY;
  }
}
