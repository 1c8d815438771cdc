/**
 * Buffers that are reused for reading. Allocating fresh memory costs more than the read itself, because the system has
 * to find and clear every page of it (docs/measurements/streaming.md has the rates). Pure.
 */
import type { Bytes } from '../../src/contract/ids.ts';
import type { RecordParts } from '../format/record-parts.ts';
import { copyToSlices, type RecordSlice } from '../format/slices.ts';

/** Buffers that are reused for reading, up to a total size. */
export class BufferPool {
  /** Oldest first. */
  readonly #free: ArrayBuffer[] = [];
  #freeBytes: Bytes = 0;

  /** @param capacity total size of the buffers that are kept; 0 keeps none, so that every buffer is fresh */
  constructor(private readonly capacity: Bytes = 0) {}

  /** Returns a buffer of exactly `size` bytes with arbitrary content. */
  take(size: Bytes): ArrayBuffer {
    const index = this.#free.findLastIndex(({ byteLength }) => byteLength === size);
    if (index < 0) return new ArrayBuffer(size);
    this.#freeBytes -= size;
    return this.#free.splice(index, 1)[0];
  }

  /**
   * Accepts a buffer that is no longer used. Ignores one that has been transferred away, which has no bytes left. If
   * the pool is over its capacity, the oldest buffers are dropped.
   */
  recycle(buffer: ArrayBuffer): void {
    if (buffer.byteLength === 0) return;
    this.#free.push(buffer);
    this.#freeBytes += buffer.byteLength;
    while (this.#freeBytes > this.capacity) this.#freeBytes -= this.#free.shift()!.byteLength;
  }
}

/** Copies slices of a record into buffers from the pool, and recycles the record's own. */
export function takeSlices(record: RecordParts, slices: readonly RecordSlice[], buffers: BufferPool): RecordParts {
  const parts = slices.map(({ bytes }) => new Uint8Array(buffers.take(bytes)));
  copyToSlices(record, slices, parts);
  for (const { buffer } of record.parts) buffers.recycle(buffer);
  return { byteLength: record.byteLength, parts };
}
