/** The bytes of the KV cache, which the threads hold by heads, in the layout that all backends share. */
import type { Bytes } from '../../../src/contract/ids.ts';
import type { KvCacheBytes, KvRegion, KvShape } from '../compute.ts';
import type { KvPositions } from './compute-thread.ts';
import type { ThreadPool } from './thread-pool.ts';
import type { ThreadShape } from './thread-shape.ts';

export class CpuKvCache implements KvCacheBytes {
  constructor(
    private readonly pool: ThreadPool,
    private readonly shapes: readonly ThreadShape[],
    readonly shape: KvShape,
    readonly limit: number,
  ) {}

  async *read(regions: readonly KvRegion[]): AsyncIterable<ArrayBuffer> {
    for (const region of regions) {
      const positions = this.#positionsOf(region);
      const all = new Uint8Array(region.size);
      const parts = await this.pool.run('readKv', positions);
      for (const [thread, part] of parts.entries()) {
        this.#forRows(thread, positions.count, (from, to, length) => all.set(part.subarray(from, from + length), to));
      }
      yield all.buffer;
    }
  }

  /** The cache has room for all its positions from the start. */
  async reserve(): Promise<void> {}

  write(region: KvRegion, bytes: ArrayBuffer): void {
    const positions = this.#positionsOf(region);
    const all = new Uint8Array(bytes);
    for (const [thread, { heads }] of this.shapes.entries()) {
      const part = new Uint8Array(positions.count * heads.kvs * this.#headBytes);
      this.#forRows(thread, positions.count, (from, to, length) => part.set(all.subarray(to, to + length), from));
      this.pool.writeKv(thread, positions, part);
    }
  }

  get #headBytes(): Bytes {
    return this.shape.headDim * 2;
  }

  /** Calls `copy` for each position with the ranges of a thread's heads, in its own part and in all bytes. */
  #forRows(thread: number, count: number, copy: (from: Bytes, to: Bytes, length: Bytes) => void): void {
    const { firstKv, kvs } = this.shapes[thread].heads;
    const length = kvs * this.#headBytes;
    for (let position = 0; position < count; position++) {
      copy(position * length, (position * this.shape.kvHeadCount + firstKv) * this.#headBytes, length);
    }
  }

  /** @throws RangeError if the region does not consist of whole positions */
  #positionsOf({ layer, kind, offset, size }: KvRegion): KvPositions {
    const positionBytes = this.shape.kvHeadCount * this.#headBytes;
    const [first, count] = [offset / positionBytes, size / positionBytes];
    if (Number.isInteger(first) && Number.isInteger(count)) return { layer, kind, first, count };
    throw new RangeError(`${size} bytes at ${offset} are not whole positions of ${positionBytes} bytes`);
  }
}
