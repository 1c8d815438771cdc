/** Experts kept in main memory under a budget of bytes; least recently used goes first. Pure. */
import type { Bytes } from '../../src/contract/ids.ts';

export class RamTier<R extends { byteLength: Bytes }> {
  /** In order of use, oldest first: a Map keeps the order of insertion. */
  readonly #records = new Map<string, R>();
  #bytes: Bytes = 0;

  /** @param budgetBytes 0 keeps nothing */
  constructor(readonly budgetBytes: Bytes) {}

  get bytes(): Bytes {
    return this.#bytes;
  }

  get(key: string): R | undefined {
    const record = this.#records.get(key);
    if (record) {
      this.#records.delete(key);
      this.#records.set(key, record);
    }
    return record;
  }

  /** Whether it is there; no use of it. */
  has(key: string): boolean {
    return this.#records.has(key);
  }

  /** Keeps a record, unless it is larger than the whole budget; returns those that had to go for it. */
  put(key: string, record: R): R[] {
    const gone: R[] = [];
    if (record.byteLength > this.budgetBytes || this.#records.has(key)) return gone;
    for (const [oldest, old] of this.#records) {
      if (this.#bytes + record.byteLength <= this.budgetBytes) break;
      this.#records.delete(oldest);
      this.#bytes -= old.byteLength;
      gone.push(old);
    }
    this.#records.set(key, record);
    this.#bytes += record.byteLength;
    return gone;
  }
}
