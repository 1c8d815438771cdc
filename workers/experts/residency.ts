/**
 * Which experts lie in which slots of a pool (of one layer, or of several that share it). Pure: knows neither GPU nor store, so that a
 * policy can be replayed on recorded traces.
 *
 * The policy is least recently used. An expert that the current token needs is pinned by the
 * caller (`keep`) and never chosen as victim.
 */
import { type ExpertId, type ExpertIndex, expertIndex, type SlotIndex, slotIndex } from '../../src/contract/ids.ts';

/** An expert's move into a slot; `evicted` lost it. */
export interface Placement {
  slot: SlotIndex;
  evicted: ExpertId | undefined;
}

export class SlotResidency {
  /** Expert in each slot, or undefined where the slot is empty. */
  readonly #experts: (ExpertId | undefined)[];
  readonly #slots = new Map<ExpertId, SlotIndex>();
  /** When each slot's expert was last used, in uses of the pool. */
  readonly #lastUse: number[];
  #clock = 0;

  /** @param slotCount at least the experts that one token needs in one layer */
  constructor(readonly slotCount: number) {
    this.#experts = new Array(slotCount).fill(undefined);
    this.#lastUse = new Array(slotCount).fill(0);
  }

  slotOf(expert: ExpertId): SlotIndex | undefined {
    return this.#slots.get(expert);
  }

  /** Experts in slots, in slot order. */
  residents(): ExpertId[] {
    return this.#experts.filter((expert) => expert !== undefined);
  }

  /** True where {@link place} would find a slot. */
  hasRoom(keep: ReadonlySet<ExpertId>): boolean {
    return this.#experts.some((expert) => expert === undefined || !keep.has(expert));
  }

  /** Notes that a token used this expert. An expert that is not resident is ignored. */
  touch(expert: ExpertId): void {
    const slot = this.#slots.get(expert);
    if (slot !== undefined) this.#lastUse[slot] = ++this.#clock;
  }

  /**
   * Gives `expert` a slot: an empty one, else that of the least recently used expert not in `keep`.
   * The expert must not be resident yet.
   * @throws RangeError where every slot is kept: more experts are pinned at once than there are slots
   */
  place(expert: ExpertId, keep: ReadonlySet<ExpertId>): Placement {
    const slot = this.#victim(keep);
    const evicted = this.#experts[slot];
    if (evicted !== undefined) this.#slots.delete(evicted);
    this.#experts[slot] = expert;
    this.#slots.set(expert, slot);
    this.#lastUse[slot] = ++this.#clock;
    return { slot, evicted };
  }

  /** Empties the slot of `expert`, e.g. after its upload failed. */
  release(expert: ExpertId): void {
    const slot = this.#slots.get(expert);
    if (slot === undefined) return;
    this.#slots.delete(expert);
    this.#experts[slot] = undefined;
    this.#lastUse[slot] = 0;
  }

  #victim(keep: ReadonlySet<ExpertId>): SlotIndex {
    let victim = -1;
    for (let slot = 0; slot < this.slotCount; slot++) {
      const expert = this.#experts[slot];
      if (expert === undefined) return slotIndex(slot);
      if (keep.has(expert)) continue;
      if (victim < 0 || this.#lastUse[slot] < this.#lastUse[victim]) victim = slot;
    }
    if (victim < 0) throw new RangeError(`all ${this.slotCount} slots are pinned`);
    return slotIndex(victim);
  }
}

/** The distinct experts in a list of choices, in order of first appearance. */
export function distinctExperts(choices: ArrayLike<number>): ExpertIndex[] {
  return [...new Set(Array.from(choices, expertIndex))];
}
