/** Keeps experts' records in main memory within a byte budget. Evicts the least recently used first. Pure. */
import type { Bytes } from '../../src/contract/ids.ts';

/** Records that are kept in main memory, up to a budget. The least recently used ones are evicted first. */
export class RamTier<R extends { byteLength: Bytes }> {
  /** Least recently used first: a Map iterates in the order of insertion. */
  readonly #records = new Map<string, R>();
  #bytes: Bytes = 0;

  /** @param budgetBytes 0 keeps nothing */
  constructor(readonly budgetBytes: Bytes) {}

  /** Bytes of all records that are kept. */
  get bytes(): Bytes {
    return this.#bytes;
  }

  /** The record, which becomes the most recently used; undefined if it is not kept. */
  get(key: string): R | undefined {
    const record = this.#records.get(key);
    if (record) {
      this.#records.delete(key);
      this.#records.set(key, record);
    }
    return record;
  }

  /** Whether the record is kept. Does not count as a use. */
  has(key: string): boolean {
    return this.#records.has(key);
  }

  /**
   * Keeps a record, unless it is larger than the whole budget or its key is kept already.
   * @returns the records that were evicted for it
   */
  put(key: string, record: R): R[] {
    const evicted: R[] = [];
    if (record.byteLength > this.budgetBytes || this.#records.has(key)) return evicted;
    for (const [oldestKey, oldest] of this.#records) {
      if (this.#bytes + record.byteLength <= this.budgetBytes) break;
      this.#records.delete(oldestKey);
      this.#bytes -= oldest.byteLength;
      evicted.push(oldest);
    }
    this.#records.set(key, record);
    this.#bytes += record.byteLength;
    return evicted;
  }
}
