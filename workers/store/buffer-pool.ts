/**
 * Buffers that are read into again and again. Fresh memory costs more than reading: the system has to find and clear
 * every page of it (docs/streaming.md has the rates). Pure.
 */
import type { Bytes } from '../../src/contract/ids.ts';

export class BufferPool {
  /** Oldest first. */
  readonly #free: ArrayBuffer[] = [];
  #bytes: Bytes = 0;

  /** @param most bytes kept; 0 keeps nothing, so that every buffer is fresh */
  constructor(private readonly most: Bytes = 0) {}

  /** A buffer of exactly `size` bytes, which may hold anything. */
  take(size: Bytes): ArrayBuffer {
    const index = this.#free.findLastIndex(({ byteLength }) => byteLength === size);
    if (index < 0) return new ArrayBuffer(size);
    this.#bytes -= size;
    return this.#free.splice(index, 1)[0];
  }

  /** Takes a buffer that nobody looks at any more; the oldest others go where there are too many. */
  recycle(buffer: ArrayBuffer): void {
    this.#free.push(buffer);
    this.#bytes += buffer.byteLength;
    while (this.#bytes > this.most) this.#bytes -= this.#free.shift()!.byteLength;
  }
}
