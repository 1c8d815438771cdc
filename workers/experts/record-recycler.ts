/** Decides when the memory of an expert's record can be reused, so that the reader can read the next record into it. */
import type { ExpertId } from '../../src/contract/ids.ts';
import type { RecordParts } from '../format/record-parts.ts';
import type { RamTier } from './ram-tier.ts';

/**
 * A record that was uploaded to a slot, or whose prefetch was cancelled, is offered to main memory. The memory of
 * records that it does not keep is recycled, and that of half its records if memory is short.
 */
export class RecordRecycler {
  /** Records whose memory may already hold another record. */
  readonly #recycled = new WeakSet<RecordParts>();

  /** @param release receives each record whose memory can be reused, once */
  constructor(
    private readonly ram: RamTier<RecordParts>,
    private readonly release: (record: RecordParts) => void,
  ) {}

  /** If true, the record's bytes must not be read any more: the expert has to be read again. */
  isRecycled(record: RecordParts): boolean {
    return this.#recycled.has(record);
  }

  /** Call after each upload, and if a prefetch was read completely but then cancelled. */
  keepOrRecycle(expert: ExpertId, record: RecordParts): void {
    if (this.#recycled.has(record)) return;
    this.#release(this.ram.offer(expert, record));
  }

  /**
   * Call if a read finds no memory. Main memory keeps half as many records from then on. The reader gets the memory of
   * the others at once: garbage of this worker would be of no use to it.
   * @returns whether anything was released
   */
  releaseHalf(): boolean {
    const dropped = this.ram.halve();
    this.#release(dropped);
    return dropped.length > 0;
  }

  #release(records: readonly RecordParts[]): void {
    for (const record of records) {
      this.#recycled.add(record);
      this.release(record);
    }
  }
}
