/**
 * A source far away, for which each request costs time: small reads that follow one another become one request for a window of
 * the file. The experts of a small model, gate, up and down in turn, are three such sequences.
 */
import type { Bytes } from '../../src/contract/ids.ts';
import { type ByteSource, checkRange } from './byte-source.ts';

/** What is asked for at once, at multiples of it. */
const WINDOW: Bytes = 1024 * 1024;
/** Windows that are kept: a small model's layers are gone through twice, for the dense weights and for the experts. */
const WINDOWS_KEPT = 32;
/** Reads that are remembered, to see what follows them. */
const ENDS_KEPT = 8;

export class BufferedByteSource implements ByteSource {
  readonly name: string;
  readonly size: Bytes;
  /** By number, the one used last at the end. */
  readonly #windows = new Map<number, Promise<Uint8Array<ArrayBuffer>>>();
  /** Where the last reads ended. */
  #ends: Bytes[] = [];

  constructor(private readonly source: ByteSource) {
    this.name = source.name;
    this.size = source.size;
  }

  async read(offset: Bytes, length: Bytes, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(this, offset, length);
    // A little further on counts too: tensors are padded, and some are not wanted yet.
    const follows = this.#ends.some((end) => offset >= end && offset < end + WINDOW / 4);
    this.#ends = [...this.#ends, offset + length].slice(-ENDS_KEPT);
    const first = Math.floor(offset / WINDOW);
    const last = Math.floor((offset + length - 1) / WINDOW);
    if (length === 0 || length > WINDOW / 2 || !(follows || (this.#windows.has(first) && this.#windows.has(last)))) {
      return this.source.read(offset, length, signal);
    }
    const bytes = new Uint8Array(length);
    for (let index = first; index <= last; index++) {
      const window = await this.#window(index, signal);
      const start = index * WINDOW;
      const from = Math.max(offset, start);
      bytes.set(window.subarray(from - start, Math.min(offset + length, start + WINDOW) - start), from - offset);
    }
    return bytes;
  }

  #window(index: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const window = this.#windows.get(index) ?? this.#fetch(index, signal);
    this.#windows.delete(index);
    this.#windows.set(index, window);
    if (this.#windows.size > WINDOWS_KEPT) this.#windows.delete(this.#windows.keys().next().value!);
    return window;
  }

  async #fetch(index: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const start = index * WINDOW;
    try {
      return await this.source.read(start, Math.min(WINDOW, this.size - start), signal);
    } catch (error) {
      this.#windows.delete(index); // the next read tries again
      throw error;
    }
  }
}
