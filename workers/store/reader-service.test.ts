/** Short main memory and passing read errors: nothing is repaired, and no model is marked as damaged. */
import { describe, expect, it } from 'vitest';
import { importTiny, TINY } from '../import/testing.ts';
import { BufferPool } from './buffer-pool.ts';
import { KeyValueStore } from './key-value-store.ts';
import { MemoryStore, MemoryValues } from './memory-store.ts';
import { ReaderService } from './reader-service.ts';

/** Memory that is short for the first `failures` allocations. */
class TightPool extends BufferPool {
  constructor(private failures: number) {
    super();
  }
  override take(size: number): ArrayBuffer {
    if (this.failures-- > 0) throw new RangeError('Array buffer allocation failed');
    return super.take(size);
  }
}

/** The reader of a stored model, one of whose records is read. */
async function readWith(buffers: BufferPool, damage: (values: MemoryValues, key: string) => void = () => {}) {
  const values = new MemoryValues();
  const { id } = await importTiny(new MemoryStore(values), TINY);
  damage(values, `record/${id}/L1.E3/0000`);
  const store = new KeyValueStore(values, undefined, buffers);
  const record = (await store.getManifest(id))!.records.find(({ key }) => key === 'L1.E3')!;
  const repaired: string[] = [];
  const repair = async (_id: string, { key, bytes }: { key: string; bytes: number }) => {
    repaired.push(key);
    return new Uint8Array(bytes);
  };
  const read = new ReaderService({ store, buffers, repair }).read(id, record, 1);
  return { store, id, record, repaired, read };
}

describe('a read that fails', () => {
  it('for lack of memory is repeated', async () => {
    const { read, record, repaired } = await readWith(new TightPool(1));
    expect((await read).byteLength).toBe(record.bytes);
    expect(repaired).toEqual([]);
  });

  it('for lack of memory again is an error of its own, and marks nothing', async () => {
    const { read, repaired, store, id } = await readWith(new TightPool(99));
    await expect(read).rejects.toMatchObject({
      code: 'memory-full',
      message: expect.stringMatching(/not enough main memory to read the stored weights L1\.E3 \([\d.]+ [kM]B\)/),
    });
    expect(repaired).toEqual([]);
    expect((await store.getManifest(id))?.state).toBe('complete');
  });

  it('because the browser cannot read the file once is repeated; the second time the record is fetched', async () => {
    for (const failures of [1, 2]) {
      let left = failures;
      const { read, record, repaired } = await readWith(new BufferPool(), (values, key) => {
        const blob = values.entries.get(key) as Blob;
        const stream = blob.stream.bind(blob);
        blob.stream = () => {
          if (left-- > 0) throw new DOMException('not now', 'NotReadableError');
          return stream();
        };
        const arrayBuffer = blob.arrayBuffer.bind(blob);
        blob.arrayBuffer = async () => {
          if (left >= 0) throw new DOMException('not now', 'NotReadableError');
          return arrayBuffer();
        };
      });
      expect((await read).byteLength).toBe(record.bytes);
      expect(repaired).toEqual(failures === 1 ? [] : ['L1.E3']);
    }
  });

  it('because a part is gone is repaired', async () => {
    const { read, repaired } = await readWith(new BufferPool(), (values, key) => values.entries.delete(key));
    await read;
    expect(repaired).toEqual(['L1.E3']);
  });
});
