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
import { AgedUses } from './aged-uses.ts';

/** The slot that an expert was given, and the expert that lost it, if any. */
export interface SlotAssignment {
  slot: SlotIndex;
  evicted: ExpertId | undefined;
}

/** Uses of the pool after which a use counts half: 64 tokens with two experts each. */
export const HALF_LIFE = 128;

/**
 * How many residents of a pool the next token evicts if it uses none of them but the oldest: the experts of the newest
 * token that have to go. At least one. All of them, if several layers share a few slots.
 */
export const nextVictimCount = (slots: number, layers: number, expertsPerToken: number): number =>
  Math.max(1, Math.min(slots, 2 * layers * expertsPerToken - slots));

/**
 * The experts in the slots of one pool. If there is no empty slot, the least frequently used expert is evicted; a use
 * counts half after `halfLife` further uses.
 */
export class ResidencyPolicy {
  /** Expert in each slot; undefined if the slot is empty. */
  readonly #experts: (ExpertId | undefined)[];
  readonly #slots = new Map<ExpertId, SlotIndex>();
  /** Includes experts without a slot. */
  readonly #uses: AgedUses;
  /** The highest score of the next victims; undefined if it has to be found again. */
  #nextVictimScore: number | undefined;

  /**
   * @param slotCount at least the number of experts that one token uses in one layer
   * @param halfLife uses of the pool after which a use counts half; 0.5 or less is the same as least recently used
   * @param nextVictims see {@link isNextVictim}
   */
  constructor(
    readonly slotCount: number,
    halfLife = HALF_LIFE,
    readonly nextVictims = 1,
  ) {
    this.#experts = new Array(slotCount).fill(undefined);
    this.#uses = new AgedUses(halfLife);
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
    this.#nextVictimScore = undefined;
    this.#uses.touch(expert);
  }

  /**
   * Gives `expert`, which must not be resident, an empty slot or that of the least used expert outside `keep`.
   * @throws RangeError if every slot holds an expert of `keep`: the caller pins more experts than there are slots
   */
  assign(expert: ExpertId, keep: ReadonlySet<ExpertId>): SlotAssignment {
    const slot = this.#chooseSlot(keep);
    const evicted = this.#experts[slot];
    this.#nextVictimScore = undefined;
    if (evicted !== undefined) this.#slots.delete(evicted);
    this.#experts[slot] = expert;
    this.#slots.set(expert, slot);
    return { slot, evicted };
  }

  /**
   * Whether `expert` is resident and soon will not be: it is among the `nextVictims` residents with the lowest counts.
   * Main memory had better keep it.
   */
  isNextVictim(expert: ExpertId): boolean {
    if (this.slotOf(expert) === undefined) return false;
    this.#nextVictimScore ??= this.#findNextVictimScore();
    return this.#uses.score(expert) <= this.#nextVictimScore;
  }

  /** Empties the slot of `expert`, for example after its upload failed. */
  release(expert: ExpertId): void {
    const slot = this.#slots.get(expert);
    if (slot === undefined) return;
    this.#nextVictimScore = undefined;
    this.#slots.delete(expert);
    this.#experts[slot] = undefined;
  }

  #findNextVictimScore(): number {
    const scores = this.residents().map((expert) => this.#uses.score(expert));
    return scores.sort((a, b) => a - b)[Math.min(this.nextVictims, scores.length) - 1];
  }

  #chooseSlot(keep: ReadonlySet<ExpertId>): SlotIndex {
    let victim = -1;
    let least = 0;
    for (let slot = 0; slot < this.slotCount; slot++) {
      const expert = this.#experts[slot];
      if (expert === undefined) return slotIndex(slot);
      if (keep.has(expert)) continue;
      const score = this.#uses.score(expert);
      if (victim >= 0 && score >= least) continue;
      victim = slot;
      least = score;
    }
    if (victim < 0) throw new RangeError(`all ${this.slotCount} slots are pinned`);
    return slotIndex(victim);
  }
}
