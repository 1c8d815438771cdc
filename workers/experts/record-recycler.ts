/** Decides when the memory of an expert's record can be reused, so that the reader can read the next record into it. */
import type { RecordParts } from '../format/record-parts.ts';
import type { RamTier } from './ram-tier.ts';

/**
 * A record's memory is recycled once it has been uploaded to a slot and main memory no longer keeps it, or once its
 * prefetch was cancelled.
 */
export class RecordRecycler {
  /** Records that were uploaded to a slot at least once. */
  readonly #uploaded = new WeakSet<RecordParts>();
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

  /** Call after each upload. Recycles the record, unless main memory keeps it. */
  onUploaded(key: string, record: RecordParts): void {
    this.#uploaded.add(record);
    if (!this.ram.has(key)) this.#recycle(record);
  }

  /** Call if a prefetch was read completely but then cancelled. Recycles the record, unless main memory keeps it. */
  onPrefetchCancelled(key: string, record: RecordParts): void {
    if (!this.ram.has(key)) this.#recycle(record);
  }

  /** Call when main memory evicts a record. If it was never uploaded it is still waiting for its upload. */
  onEvictedFromRam(record: RecordParts): void {
    if (this.#uploaded.has(record)) this.#recycle(record);
  }

  #recycle(record: RecordParts): void {
    if (this.#recycled.has(record)) return;
    this.#recycled.add(record);
    this.release(record);
  }
}
