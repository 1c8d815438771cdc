/**
 * Which experts main memory keeps: mostly those that are not on the GPU. It only gets bytes when an expert is read, and
 * then the expert is about to get a slot, so it keeps copies of those that will soon lose theirs. Pure. Why, and what
 * was rejected: docs/streaming.md, "Main memory".
 */
import type { Bytes, ExpertId } from '../../src/contract/ids.ts';

/** What decides about the experts that are kept. */
export interface RamOrder {
  /** Whether the expert is on the GPU and will stay there for a while, so that its copy is not needed. */
  isSpare(expert: ExpertId): boolean;
  /** Higher for experts that are used more. */
  score(expert: ExpertId): number;
}

/**
 * Records that are kept in main memory, up to a budget. Spare copies are dropped first, the most used expert's before
 * others, because it keeps its slot longest. Then come the least used experts.
 */
export class RamTier<R extends { byteLength: Bytes }> {
  /** Oldest first. */
  readonly #records = new Map<ExpertId, R>();
  #bytes: Bytes = 0;

  #budgetBytes: Bytes;

  /** @param budgetBytes 0 keeps nothing */
  constructor(
    budgetBytes: Bytes,
    private readonly order: RamOrder,
  ) {
    this.#budgetBytes = budgetBytes;
  }

  /** The most that is kept. It only ever gets smaller, by {@link halve} and {@link close}. */
  get budgetBytes(): Bytes {
    return this.#budgetBytes;
  }

  /** Bytes of all records that are kept. */
  get bytes(): Bytes {
    return this.#bytes;
  }

  /** The expert's record; undefined if it is not kept. */
  get(expert: ExpertId): R | undefined {
    return this.#records.get(expert);
  }

  has(expert: ExpertId): boolean {
    return this.#records.has(expert);
  }

  /**
   * Keeps a record if it is worth more than others that have to go for it.
   * @returns the records that are not kept (any more): others, or this one
   */
  offer(expert: ExpertId, record: R): R[] {
    const kept = this.#records.get(expert);
    if (kept) return kept === record ? [] : [record];
    if (record.byteLength > this.#budgetBytes) return [record];
    const victims = this.#victimsFor(expert, record);
    if (!victims) return [record];
    const dropped = victims.map((victim) => this.#drop(victim));
    this.#records.set(expert, record);
    this.#bytes += record.byteLength;
    return dropped;
  }

  /**
   * Halves what is kept, and never keeps more again: memory is short.
   * @returns the records that are not kept any more; none if nothing was kept
   */
  halve(): R[] {
    if (this.#bytes === 0) return [];
    this.#budgetBytes = Math.floor(this.#bytes / 2);
    const dropped: R[] = [];
    while (this.#bytes > this.#budgetBytes) {
      const worst = [...this.#records.keys()].reduce((a, b) => (this.#isWorse(b, a) ? b : a));
      dropped.push(this.#drop(worst));
    }
    return dropped;
  }

  /** Drops all records, and returns them. Never keeps one again: reads that are running may still end. */
  close(): R[] {
    this.#budgetBytes = 0;
    return [...this.#records.keys()].map((expert) => this.#drop(expert));
  }

  /** The experts to drop for a new one; undefined if one of them is worth more than it. */
  #victimsFor(expert: ExpertId, { byteLength }: R): ExpertId[] | undefined {
    const victims = new Set<ExpertId>();
    let bytes = this.#bytes + byteLength;
    while (bytes > this.#budgetBytes) {
      let victim = expert;
      for (const other of this.#records.keys()) {
        if (!victims.has(other) && (victim === expert ? !this.#isWorse(expert, other) : this.#isWorse(other, victim)))
          victim = other;
      }
      if (victim === expert) return undefined;
      victims.add(victim);
      bytes -= this.#records.get(victim)!.byteLength;
    }
    return [...victims];
  }

  /** Whether `a` is to be dropped before `b`. */
  #isWorse(a: ExpertId, b: ExpertId): boolean {
    const { order } = this;
    const [aIsSpare, bIsSpare] = [order.isSpare(a), order.isSpare(b)];
    if (aIsSpare !== bIsSpare) return aIsSpare;
    return aIsSpare ? order.score(a) > order.score(b) : order.score(a) < order.score(b);
  }

  #drop(expert: ExpertId): R {
    const record = this.#records.get(expert)!;
    this.#records.delete(expert);
    this.#bytes -= record.byteLength;
    return record;
  }
}
