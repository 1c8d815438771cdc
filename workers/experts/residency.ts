/**
 * Which experts lie in which slots of a pool (of one layer, or of several that share it). Pure: knows neither GPU nor
 * store, so that a policy can be replayed on recorded traces.
 *
 * The policy is least frequently used, with uses that count less the older they are (docs/streaming.md has the hit
 * rates). An expert that the current token needs is pinned by the caller (`keep`) and never chosen as victim.
 */
import { type ExpertId, type ExpertIndex, expertIndex, type SlotIndex, slotIndex } from '../../src/contract/ids.ts';

/** An expert's move into a slot; `evicted` lost it. */
export interface SlotAssignment {
  slot: SlotIndex;
  evicted: ExpertId | undefined;
}

/** Uses after which a use counts half: 64 tokens of two experts each. */
const HALF_LIFE = 128;

export class SlotResidency {
  /** Expert in each slot, or undefined where the slot is empty. */
  readonly #experts: (ExpertId | undefined)[];
  readonly #slots = new Map<ExpertId, SlotIndex>();
  /** Aged count of uses, as it was when the expert (resident or not) was last used, and when that was. */
  readonly #uses = new Map<ExpertId, { count: number; at: number }>();
  #clock = 0;

  /**
   * @param slotCount at least the experts that one token needs in one layer
   * @param halfLife uses of the pool after which a use counts half; 0.5 or less is least recently used
   */
  constructor(
    readonly slotCount: number,
    readonly halfLife = HALF_LIFE,
  ) {
    this.#experts = new Array(slotCount).fill(undefined);
  }

  slotOf(expert: ExpertId): SlotIndex | undefined {
    return this.#slots.get(expert);
  }

  /** Experts in slots, in slot order. */
  residents(): ExpertId[] {
    return this.#experts.filter((expert) => expert !== undefined);
  }

  /** True where {@link assign} would find a slot. */
  hasRoom(keep: ReadonlySet<ExpertId>): boolean {
    return this.#experts.some((expert) => expert === undefined || !keep.has(expert));
  }

  /** Notes that a token used this expert, resident or not. */
  touch(expert: ExpertId): void {
    const uses = this.#uses.get(expert);
    this.#clock++;
    const count = uses ? uses.count * 0.5 ** ((this.#clock - uses.at) / this.halfLife) : 0;
    this.#uses.set(expert, { count: count + 1, at: this.#clock });
  }

  /**
   * Gives `expert` a slot: an empty one, else that of the least used expert not in `keep`.
   * The expert must not be resident yet.
   * @throws RangeError where every slot is kept: more experts are pinned at once than there are slots
   */
  assign(expert: ExpertId, keep: ReadonlySet<ExpertId>): SlotAssignment {
    const slot = this.#victim(keep);
    const evicted = this.#experts[slot];
    if (evicted !== undefined) this.#slots.delete(evicted);
    this.#experts[slot] = expert;
    this.#slots.set(expert, slot);
    return { slot, evicted };
  }

  /** Empties the slot of `expert`, e.g. after its upload failed. */
  release(expert: ExpertId): void {
    const slot = this.#slots.get(expert);
    if (slot === undefined) return;
    this.#slots.delete(expert);
    this.#experts[slot] = undefined;
  }

  #victim(keep: ReadonlySet<ExpertId>): SlotIndex {
    let victim = -1;
    let least = 0;
    for (let slot = 0; slot < this.slotCount; slot++) {
      const expert = this.#experts[slot];
      if (expert === undefined) return slotIndex(slot);
      if (keep.has(expert)) continue;
      const value = this.#value(expert);
      if (victim >= 0 && value >= least) continue;
      victim = slot;
      least = value;
    }
    if (victim < 0) throw new RangeError(`all ${this.slotCount} slots are pinned`);
    return slotIndex(victim);
  }

  /** Logarithm of the aged count, but for a term that is the same for all: never underflows, however old. */
  #value(expert: ExpertId): number {
    const uses = this.#uses.get(expert);
    return uses ? Math.log2(uses.count) + uses.at / this.halfLife : Number.NEGATIVE_INFINITY;
  }
}

/** The distinct experts in a list of choices, in order of first appearance. */
export function distinctExperts(selectedExperts: ArrayLike<number>): ExpertIndex[] {
  return [...new Set(Array.from(selectedExperts, expertIndex))];
}
