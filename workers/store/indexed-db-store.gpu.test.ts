/** The store in a real browser's IndexedDB. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type ModelManifest, PART_BYTES, type RecordInfo } from '../format/manifest.ts';
import { BufferPool } from './buffer-pool.ts';
import { sha256Hex } from './hash.ts';
import { xxh64OfParts } from './hash-testing.ts';
import { IndexedDbStore } from './indexed-db-store.ts';

let databases = 0;
const freshStore = (): IndexedDbStore => new IndexedDbStore(`test-${Date.now()}-${databases++}`);
afterEach(() => vi.restoreAllMocks());

const recordOf = async (key: string, bytes: Uint8Array<ArrayBuffer>): Promise<RecordInfo> => ({
  key,
  bytes: bytes.byteLength,
  parts: Math.ceil(bytes.byteLength / PART_BYTES),
  sha256: await sha256Hex(bytes),
  tensors: [],
});

const pattern = (length: number): Uint8Array<ArrayBuffer> => {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >>> 12)) & 255;
  return bytes;
};

/** Counts the bytes that were taken and not recycled. */
class CountingPool extends BufferPool {
  out = 0;

  override take(size: number): ArrayBuffer {
    this.out += size;
    return super.take(size);
  }

  override recycle(buffer: ArrayBuffer): void {
    this.out -= buffer.byteLength;
    super.recycle(buffer);
  }
}

describe('IndexedDbStore', () => {
  it('returns records of several parts to the byte, also to another store on the same database', async () => {
    const name = `test-shared-${Date.now()}`;
    const bytes = pattern(PART_BYTES * 2 + 12345);
    const record = await recordOf('L0.E0', bytes);
    expect(await new IndexedDbStore(name).putRecord('m', 'L0.E0', bytes)).toBe(3);
    expect(await sha256Hex(await new IndexedDbStore(name).readRecordVerified('m', record))).toBe(record.sha256);
  });

  it('stores bytes if the browser refuses Blobs, and returns the same records', async () => {
    const put = IDBObjectStore.prototype.put;
    const stored: unknown[] = [];
    vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (this: IDBObjectStore, value, key) {
      if (value instanceof ArrayBuffer) stored.push(value.byteLength);
      if (!(value instanceof Blob)) return put.call(this, value, key);
      // WebKit reports it as a failed request, which aborts the transaction.
      put.call(this, 0, key);
      return this.add(0, key);
    });
    const store = freshStore();
    for (const bytes of [pattern(PART_BYTES + 12345), pattern(777)]) {
      const record = await recordOf(`r${bytes.length}`, bytes);
      await store.putRecord('m', record.key, bytes);
      expect(await sha256Hex(await store.readRecordVerified('m', record))).toBe(record.sha256);
    }
    expect(stored).toEqual([PART_BYTES, 12345, 777]);
  });

  it('reports why a write failed, also if a single request did', async () => {
    const put = IDBObjectStore.prototype.put;
    vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (this: IDBObjectStore, value, key) {
      put.call(this, value, key);
      return this.add(value, key);
    });
    await expect(freshStore().putRecord('m', 'r', pattern(10))).rejects.toThrow(/cannot be used \(ConstraintError/);
  });

  it('reads into recycled buffers, whatever they contain, and detects a wrong length', async () => {
    const buffers = new BufferPool(100 * PART_BYTES);
    const store = new IndexedDbStore(`test-${Date.now()}-${databases++}`, undefined, buffers);
    const bytes = pattern(PART_BYTES + 12345);
    const record = await recordOf('L0.E0', bytes);
    await store.putRecord('m', 'L0.E0', bytes);
    const hash = await xxh64OfParts([bytes]);
    for (let round = 0; round < 6; round++) {
      const { parts } = await store.readPartsVerified('m', record);
      expect(await xxh64OfParts(parts)).toBe(hash);
      for (const part of parts) {
        expect(part.byteLength).toBe(part.buffer.byteLength);
        buffers.recycle(new Uint8Array(part.buffer).fill(255).buffer);
      }
      const allocated = vi.spyOn(globalThis, 'ArrayBuffer');
      const again = await store.readPartsVerified('m', record);
      expect(allocated).not.toHaveBeenCalled();
      allocated.mockRestore();
      for (const { buffer } of again.parts) buffers.recycle(buffer);
    }
    await expect(store.readRecord('m', { ...record, bytes: record.bytes + 4 })).rejects.toMatchObject({
      code: 'record-damaged',
    });
  });

  it('stops a cancelled read, recycles all its buffers, and then reads that record and others correctly', async () => {
    const buffers = new CountingPool(100 * PART_BYTES);
    const name = `test-${Date.now()}-${databases++}`;
    const store = new IndexedDbStore(name, undefined, buffers);
    const bytes = [pattern(PART_BYTES * 4 + 12345), pattern(PART_BYTES + 123).reverse()];
    const records = await Promise.all(bytes.map((record, n) => recordOf(`L0.E${n}`, record)));
    const hashes = new Map<string, string>();
    for (const [n, { key }] of records.entries()) {
      await store.putRecord('m', key, bytes[n]);
      hashes.set(key, await xxh64OfParts([bytes[n]]));
    }
    const read = ReadableStreamBYOBReader.prototype.read;
    let pieces = 0;
    let cancel = (): void => {};
    vi.spyOn(ReadableStreamBYOBReader.prototype, 'read').mockImplementation(async function (
      this: ReadableStreamBYOBReader,
      ...args
    ) {
      const piece = read.apply(this, args);
      if (++pieces === 5) cancel(); // before this piece has arrived
      return piece;
    } as typeof read);
    const whole = await store.readPartsVerified('m', records[0]);
    const pieceCount = pieces;
    for (const { buffer } of whole.parts) buffers.recycle(buffer);
    expect(buffers.out).toBe(0);

    for (const verified of [true, false]) {
      const reader = verified ? store : new IndexedDbStore(name, undefined, buffers);
      pieces = 0;
      const controller = new AbortController();
      cancel = () => controller.abort();
      const cancelled = reader.readPartsVerified('m', records[0], controller.signal);
      await expect(cancelled).rejects.toMatchObject({ code: 'aborted' });
      expect(pieces).toBeLessThan(Math.min(8, pieceCount));
      expect(buffers.out).toBe(0);
      for (const record of records.toReversed()) {
        const { parts } = await reader.readPartsVerified('m', record);
        expect(await xxh64OfParts(parts), record.key).toBe(hashes.get(record.key));
        for (const { buffer } of parts) buffers.recycle(buffer);
        expect(buffers.out).toBe(0);
      }
    }
  });

  it('removes a model and its records, and nothing else', async () => {
    const store = freshStore();
    const bytes = pattern(1000);
    const record = await recordOf('output', bytes);
    for (const id of ['a', 'ab']) {
      await store.putRecord(id, 'output', bytes);
      await store.putManifest({ id, importedAt: id.length, records: [record] } as ModelManifest);
    }
    expect((await store.listManifests()).map(({ id }) => id)).toEqual(['a', 'ab']);
    await store.removeModel('a');
    expect((await store.listManifests()).map(({ id }) => id)).toEqual(['ab']);
    await expect(store.readRecord('a', record)).rejects.toMatchObject({ code: 'record-missing' });
    expect(await store.readRecord('ab', record)).toEqual(bytes);
  });

  it('lists what a crashed import has left over', async () => {
    const store = freshStore();
    await store.putRecord('crashed', 'embedding', pattern(10));
    expect(await store.listLeftovers()).toEqual(['crashed']);
  });

  it('reports a full disk, and stores none of the parts', async () => {
    const store = freshStore();
    const put = IDBObjectStore.prototype.put;
    let calls = 0;
    vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (this: IDBObjectStore, ...args) {
      if (++calls === 2) throw new DOMException('no space', 'QuotaExceededError');
      return put.apply(this, args);
    });
    await expect(store.putRecord('m', 'L0.E0', pattern(PART_BYTES + 1))).rejects.toMatchObject({
      code: 'storage-full',
      message: expect.stringMatching(/storage is full: .* more were needed/),
    });
  });

  it('reports a browser that stores nothing', async () => {
    vi.spyOn(indexedDB, 'open').mockImplementation(() => {
      throw new DOMException('denied', 'SecurityError');
    });
    await expect(freshStore().listManifests()).rejects.toMatchObject({ code: 'storage-unavailable' });
  });
});
