/**
 * Buffers that are reused for reading. Allocating fresh memory costs more than the read itself, because the system has
 * to find and clear every page of it (docs/measurements/streaming.md has the rates). Pure.
 */
import type { Bytes } from '../../src/contract/ids.ts';
import type { RecordParts } from '../format/record-parts.ts';
import { clearPadding, copyPiece, type RecordSlice, segmentsOf } from '../format/slices.ts';

/** Buffers that are reused for reading, up to a total size. */
export class BufferPool {
  /** Oldest first. */
  readonly #free: ArrayBuffer[] = [];
  #freeBytes: Bytes = 0;

  /** @param capacity total size of the buffers that are kept; 0 keeps none, so that every buffer is fresh */
  constructor(private readonly capacity: Bytes = 0) {}

  /**
   * Returns a buffer of exactly `size` bytes with arbitrary content. If there is no memory for it, the pool drops what
   * it has, which is of other sizes, and tries again.
   * @throws RangeError if there is no memory even then
   */
  take(size: Bytes): ArrayBuffer {
    const index = this.#free.findLastIndex(({ byteLength }) => byteLength === size);
    if (index < 0) return this.#allocate(size);
    this.#freeBytes -= size;
    return this.#free.splice(index, 1)[0];
  }

  #allocate(size: Bytes): ArrayBuffer {
    try {
      return new ArrayBuffer(size);
    } catch (error) {
      if (this.#freeBytes === 0) throw error;
      this.#free.length = 0;
      this.#freeBytes = 0;
      return new ArrayBuffer(size);
    }
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

/** Slices of a record that arrives in pieces. */
export interface SlicesInProgress {
  /** One per slice. */
  parts: Uint8Array<ArrayBuffer>[];
  /** Adds the piece that begins at `at` of the record. */
  copy(at: Bytes, piece: Uint8Array): void;
}

/** Takes buffers for the slices of a record of `bytes` bytes. Their padding is zero. */
export function startSlices(bytes: Bytes, slices: readonly RecordSlice[], buffers: BufferPool): SlicesInProgress {
  const segments = segmentsOf(slices, bytes);
  const parts = slices.map((slice) => {
    const part = new Uint8Array(buffers.take(slice.bytes));
    clearPadding(slice, part);
    return part;
  });
  return { parts, copy: (at, piece) => copyPiece(segments, at, piece, parts) };
}

/** Copies slices of a record into buffers from the pool, and recycles the record's own. */
export function takeSlices(record: RecordParts, slices: readonly RecordSlice[], buffers: BufferPool): RecordParts {
  const { parts, copy } = startSlices(record.byteLength, slices, buffers);
  let at = 0;
  for (const part of record.parts) {
    copy(at, part);
    at += part.byteLength;
    buffers.recycle(part.buffer);
  }
  return { byteLength: record.byteLength, parts };
}
