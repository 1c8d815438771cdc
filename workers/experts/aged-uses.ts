/** How often experts were used lately. Pure. */
import type { ExpertId } from '../../src/contract/ids.ts';

/** Counts uses of experts. A use counts half after `halfLife` further uses of any of them. */
export class AgedUses {
  /** Of each expert that was used: its count at its last use, the time of that use, and its score. */
  readonly #uses = new Map<ExpertId, { count: number; at: number; score: number }>();
  /** Uses so far. */
  #clock = 0;

  /** @param halfLife 0.5 or less orders experts by their last use */
  constructor(readonly halfLife: number) {}

  /** Records a use. */
  touch(expert: ExpertId): void {
    const uses = this.#uses.get(expert);
    const at = ++this.#clock;
    const count = (uses ? uses.count * 0.5 ** ((at - uses.at) / this.halfLife) : 0) + 1;
    // The count's logarithm plus a term that is the same for all experts: the count itself would underflow with age.
    this.#uses.set(expert, { count, at, score: Math.log2(count) + at / this.halfLife });
  }

  /** Orders experts by their aged use counts. Constant until the expert's next use; -Infinity if it was never used. */
  score(expert: ExpertId): number {
    return this.#uses.get(expert)?.score ?? Number.NEGATIVE_INFINITY;
  }
}
