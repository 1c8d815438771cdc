/** Node has no private file system, as some browsers have none; where one is needed it is a stand-in. */
import { afterEach, expect, it, vi } from 'vitest';
import { PART_BYTES, type RecordInfo } from '../format/manifest.ts';
import { ImportService } from '../import/import-service.ts';
import { BufferPool } from './buffer-pool.ts';
import { MemoryStore } from './memory-store.ts';
import { OpfsFiles, opfsSupported } from './opfs-files.ts';

afterEach(() => {
  vi.unstubAllGlobals();
});

it('without files private to the page models stay in the database: looking finds none, and asking for files is refused with the remedy', async () => {
  expect(opfsSupported()).toBe(false);
  const files = new OpfsFiles();
  expect(await files.models()).toEqual([]);
  expect(await files.keys('m')).toEqual([]);
  await files.remove('m');
  await expect(files.put('m', 'L0.E0', new Uint8Array(1))).rejects.toMatchObject({ code: 'storage-unavailable' });
  const wanted = new ImportService(new MemoryStore()).import({ kind: 'file', files: [] }, () => {}, {
    storage: 'opfs',
  });
  await expect(wanted).rejects.toMatchObject({
    code: 'storage-unavailable',
    remedy: 'Store new models in IndexedDB instead.',
  });
});

it('a read hears between its pieces that it is taken back: it reads no further, closes the file and gives its buffer back', async () => {
  const size = 4 * PART_BYTES;
  let onPiece = (): void => {};
  const pieces: number[] = [];
  const closed = vi.fn();
  const handle = {
    getSize: () => size,
    read: (into: Uint8Array, { at }: { at: number }) => {
      pieces.push(at);
      onPiece();
      return into.fill(pieces.length).byteLength;
    },
    close: closed,
  };
  const file = { createSyncAccessHandle: async () => handle };
  const folder = { getDirectoryHandle: async () => folder, getFileHandle: async () => file };
  vi.stubGlobal(
    'FileSystemFileHandle',
    class {
      createSyncAccessHandle() {}
    },
  );
  vi.stubGlobal('navigator', { storage: { getDirectory: async () => folder } });
  const buffers = new BufferPool(2 * size);
  const taken = new AbortController();
  const read = () => new OpfsFiles().read('m', { key: 'L0.E0' } as RecordInfo, buffers, taken.signal);

  const whole = (await read())!;
  expect(pieces).toEqual([0, 1, 2, 3].map((part) => part * PART_BYTES));
  expect([whole[0], whole[size - 1]]).toEqual([1, 4]);
  buffers.recycle(whole.buffer);

  // As a message from the engine comes while the worker reads.
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => taken.abort();
  onPiece = () => port2.postMessage(undefined);
  pieces.length = 0;
  await expect(read()).rejects.toMatchObject({ code: 'aborted' });
  port1.close();
  expect(pieces.length).toBeLessThan(4);
  expect(closed).toHaveBeenCalledTimes(2);
  expect(buffers.take(size)).toBe(whole.buffer);
});
