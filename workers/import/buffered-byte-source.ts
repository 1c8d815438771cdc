/**
 * A remote source whose requests have high latency: small consecutive reads share one request for a window of the file.
 * The experts of a small model are three interleaved sequences of such reads: gate, up and down.
 */
import type { Bytes } from '../../src/contract/ids.ts';
import { type ByteSource, checkRange } from './byte-source.ts';

/** Size of a window. Windows begin at multiples of it. */
const WINDOW: Bytes = 1024 * 1024;
/** Windows that are kept. A small model's layers are read twice: once for the dense weights, once for the experts. */
const MAX_WINDOWS = 32;
/** Windows that are requested ahead of a sequence of reads. */
const AHEAD = 2;
/** Earlier reads that a read is compared with, to see whether it continues one of them. */
const MAX_ENDS = 8;

/**
 * Reads a remote file in windows of 1 MiB, so that many small reads share one request. The window after the newest one
 * is requested before it is needed: an import reads the whole file sooner or later.
 */
export class BufferedByteSource implements ByteSource {
  readonly name: string;
  readonly size: Bytes;
  /** By index, least recently used first. */
  readonly #windows = new Map<number, Promise<Uint8Array<ArrayBuffer>>>();
  /** Offsets at which the latest reads ended. */
  #ends: Bytes[] = [];

  constructor(private readonly source: ByteSource) {
    this.name = source.name;
    this.size = source.size;
  }

  async read(offset: Bytes, length: Bytes, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(this, offset, length);
    // A small gap is allowed: tensors are padded, and some are read later.
    const continues = this.#ends.some((end) => offset >= end && offset < end + WINDOW / 4);
    this.#ends = [...this.#ends, offset + length].slice(-MAX_ENDS);
    const first = Math.floor(offset / WINDOW);
    const last = Math.floor((offset + length - 1) / WINDOW);
    const hasWindows = this.#windows.has(first) && this.#windows.has(last);
    if (length === 0 || length > WINDOW / 2 || !(continues || hasWindows)) {
      return this.source.read(offset, length, signal);
    }
    const bytes = new Uint8Array(length);
    const windows = Array.from({ length: last - first + 1 }, (_, i) => this.#window(first + i, signal));
    this.#prefetch(last + 1, signal);
    for (const [i, promise] of windows.entries()) {
      const index = first + i;
      const window = await promise;
      const windowStart = index * WINDOW;
      const start = Math.max(offset, windowStart);
      const end = Math.min(offset + length, windowStart + WINDOW);
      bytes.set(window.subarray(start - windowStart, end - windowStart), start - offset);
    }
    return bytes;
  }

  /** Requests the windows from `index` on. If that fails, the read that needs one tries again. */
  #prefetch(index: number, signal?: AbortSignal): void {
    const end = Math.min(index + AHEAD, Math.ceil(this.size / WINDOW));
    for (let next = index; next < end; next++) {
      if (!this.#windows.has(next)) this.#window(next, signal).catch(() => {});
    }
  }

  #window(index: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const window = this.#windows.get(index) ?? this.#fetch(index, signal);
    this.#windows.delete(index);
    this.#windows.set(index, window);
    if (this.#windows.size > MAX_WINDOWS) this.#windows.delete(this.#windows.keys().next().value!);
    return window;
  }

  async #fetch(index: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const start = index * WINDOW;
    try {
      return await this.source.read(start, Math.min(WINDOW, this.size - start), signal);
    } catch (error) {
      this.#windows.delete(index); // so that the next read tries again
      throw error;
    }
  }
}
