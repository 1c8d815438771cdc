/** Node has no private file system, and neither have some browsers. One test uses a stand-in. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { PART_BYTES, type RecordInfo } from '../format/manifest.ts';
import { ImportService } from '../import/import-service.ts';
import { BufferPool } from './buffer-pool.ts';
import { MemoryStore } from './memory-store.ts';
import { OpfsFiles, opfsSupported, opfsWorks } from './opfs-files.ts';

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Its existence is all that is asked for. */
class FileHandle {
  createSyncAccessHandle() {}
}

/** A stand-in for `navigator.storage` whose files are opened by `createSyncAccessHandle`. */
function rootWith(createSyncAccessHandle: () => Promise<object>) {
  const removed: string[] = [];
  const getFileHandle = async () => ({ createSyncAccessHandle });
  const removeEntry = async (name: string) => void removed.push(name);
  return { removed, getDirectory: async () => ({ getFileHandle, removeEntry }) };
}

it('finds no files if the browser has no private file system, and refuses to store any, with a remedy', async () => {
  expect(opfsSupported()).toBe(false);
  const files = new OpfsFiles();
  expect(await files.models()).toEqual([]);
  expect(await files.keys('m')).toEqual([]);
  await files.remove('m');
  await expect(files.put('m', 'L0.E0', new Uint8Array(1))).rejects.toMatchObject({ code: 'storage-unavailable' });
  const imported = new ImportService(new MemoryStore()).import({ kind: 'file', files: [] }, () => {}, {
    storage: 'opfs',
  });
  await expect(imported).rejects.toMatchObject({
    code: 'storage-unavailable',
    remedy: 'Store new models in IndexedDB instead.',
  });
});

it.each([
  ['gives no folder', { getDirectory: () => Promise.reject(new DOMException('private window', 'SecurityError')) }],
  ['makes no file', { getDirectory: async () => ({ getFileHandle: () => Promise.reject(new TypeError('no')) }) }],
  ['opens no file', rootWith(() => Promise.reject(new DOMException('no', 'InvalidStateError')))],
  ['returns other bytes', rootWith(async () => ({ write: () => 1, flush() {}, read: () => 0, close() {} }))],
  ['never answers', { getDirectory: () => new Promise(() => {}) }],
])('files are not used automatically if the browser %s', async (_, storage) => {
  vi.stubGlobal('FileSystemFileHandle', FileHandle);
  vi.stubGlobal('navigator', { storage });
  vi.useFakeTimers();
  const works = opfsWorks();
  await vi.runAllTimersAsync();
  expect(await works).toBe(false);
});

it('files are used automatically if one can be written and read; it is removed', async () => {
  expect(await opfsWorks()).toBe(false);
  vi.stubGlobal('FileSystemFileHandle', FileHandle);
  let content = 0;
  const close = vi.fn();
  const storage = rootWith(async () => ({
    write: ([byte]: Uint8Array) => {
      content = byte;
    },
    flush() {},
    read: (into: Uint8Array) => into.fill(content).length,
    close,
  }));
  vi.stubGlobal('navigator', { storage });
  expect(await opfsWorks()).toBe(true);
  expect(close).toHaveBeenCalledTimes(1);
  expect(storage.removed).toEqual(['mixtab-probe']);
});

it('a read that is cancelled between two pieces stops, closes the file and recycles its buffer', async () => {
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
  vi.stubGlobal('FileSystemFileHandle', FileHandle);
  vi.stubGlobal('navigator', { storage: { getDirectory: async () => folder } });
  const buffers = new BufferPool(2 * size);
  const controller = new AbortController();
  const onProgress = vi.fn();
  const { signal } = controller;
  const read = () =>
    new OpfsFiles().read('m', { key: 'L0.E0', bytes: size } as RecordInfo, { buffers, signal, onProgress });

  const [whole] = (await read())!.parts;
  expect(pieces).toEqual([0, 1, 2, 3].map((part) => part * PART_BYTES));
  expect([whole[0], whole[size - 1]]).toEqual([1, 4]);
  expect(onProgress).toHaveBeenCalledTimes(1 + pieces.length); // so that a slow disk is not given up
  buffers.recycle(whole.buffer);

  // Like a message from the engine that arrives while the worker reads.
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => controller.abort();
  onPiece = () => port2.postMessage(undefined);
  pieces.length = 0;
  await expect(read()).rejects.toMatchObject({ code: 'aborted' });
  port1.close();
  expect(pieces.length).toBeLessThan(4);
  expect(closed).toHaveBeenCalledTimes(2);
  expect(buffers.take(size)).toBe(whole.buffer);
});

/** Like the stream of a browser's Blob: it fills a given buffer piece by piece. */
function streamInPieces(bytes: Uint8Array): ReadableStream {
  let at = 0;
  return new ReadableStream({
    type: 'bytes',
    pull(controller) {
      const { byobRequest } = controller as ReadableByteStreamController;
      const into = byobRequest!.view as Uint8Array;
      const piece = bytes.subarray(at, at + Math.min(into.byteLength, PART_BYTES));
      into.set(piece);
      at += piece.byteLength;
      byobRequest!.respond(piece.byteLength);
    },
  });
}

describe.each([
  ['fills a buffer that it is given', streamInPieces],
  ['cannot do that', () => new ReadableStream()], // no bytes
])('a file that another tab has open is read in pieces if the browser %s', (_, stream) => {
  const size = 2 * PART_BYTES + 8;
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i += 4099) bytes[i] = i % 251;
  const record = { key: 'L0.E0', bytes: size } as RecordInfo;

  function openElsewhere(content: Uint8Array<ArrayBuffer>): OpfsFiles {
    const file = {
      createSyncAccessHandle: () => Promise.reject(new DOMException('open', 'NoModificationAllowedError')),
      getFile: async () => Object.assign(new Blob([content]), { stream: () => stream(content) }),
    };
    const folder = { getDirectoryHandle: async () => folder, getFileHandle: async () => file };
    vi.stubGlobal('FileSystemFileHandle', FileHandle);
    vi.stubGlobal('navigator', { storage: { getDirectory: async () => folder } });
    return new OpfsFiles();
  }

  it('and each piece is progress, so that a slow disk is not given up', async () => {
    let progress = 0;
    const summed: number[] = [];
    const read = await openElsewhere(bytes).read('m', record, {
      buffers: new BufferPool(),
      onProgress: () => progress++,
      checksum: { update: ({ byteLength }) => void summed.push(byteLength), digest: () => '' },
    });
    expect(read!.parts.map((part) => Buffer.from(part.buffer).equals(bytes))).toEqual([true]);
    expect([progress, summed]).toEqual([1 + 3, [size]]);
  });

  it('until the read is cancelled', async () => {
    const buffers = new BufferPool();
    const controller = new AbortController();
    let progress = 0;
    const onProgress = () => void (++progress === 2 && controller.abort());
    const read = openElsewhere(bytes).read('m', record, { buffers, onProgress, signal: controller.signal });
    expect(
      await read.then(
        () => 'read',
        ({ code }) => code,
      ),
    ).toBe('aborted');
    expect(progress).toBe(2);
  });

  it('and a wrong length is reported before anything is read', async () => {
    let progress = 0;
    const options = { buffers: new BufferPool(), onProgress: () => void progress++ };
    const read = openElsewhere(bytes.slice(0, 9)).read('m', record, options);
    await expect(read).rejects.toMatchObject({ code: 'record-damaged' });
    expect(progress).toBe(1);
  });
});

it('a removal that is never answered ends with an error', async () => {
  const never = new Promise<never>(() => {});
  const getDirectory = vi.fn(
    async (): Promise<object> => ({ getDirectoryHandle: async () => ({ removeEntry: () => never }) }),
  );
  vi.stubGlobal('FileSystemFileHandle', FileHandle);
  vi.stubGlobal('navigator', { storage: { getDirectory, estimate: async () => ({}) } });
  vi.useFakeTimers();
  for (const _hangs of ['removeEntry', 'getDirectory']) {
    const removed = new OpfsFiles().remove('m').catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(180_000);
    expect(await removed).toMatchObject({ message: expect.stringContaining('has not answered for 180 s') });
    getDirectory.mockImplementation(() => never);
  }
});

it('every synchronous call is one that can be watched', async () => {
  const calls: string[] = [];
  let isWatched = false;
  const sync = (name: string, result?: number) => () => {
    calls.push(`${name} ${isWatched}`);
    return result;
  };
  const handle = {
    truncate: sync('truncate'),
    write: sync('write', 3),
    flush: sync('flush'),
    getSize: sync('getSize', 3),
    read: sync('read', 3),
    close: sync('close'),
  };
  const folder = {
    getDirectoryHandle: async () => folder,
    getFileHandle: async () => ({ createSyncAccessHandle: async () => handle }),
    removeEntry: async () => {},
  };
  vi.stubGlobal('FileSystemFileHandle', FileHandle);
  vi.stubGlobal('navigator', { storage: { getDirectory: async () => folder } });
  const watched = <T>(call: () => T): T => {
    isWatched = true;
    try {
      return call();
    } finally {
      isWatched = false;
    }
  };
  const files = new OpfsFiles(undefined, watched);
  await files.put('m', 'L0.E0', new Uint8Array(3));
  const record = { key: 'L0.E0', bytes: 3 } as RecordInfo;
  await files.read('m', record, { buffers: new BufferPool() });
  await opfsWorks(watched);
  const names = ['truncate', 'write', 'flush', 'close', 'getSize', 'read', 'close', 'write', 'flush', 'read', 'close'];
  expect(calls).toEqual(names.map((name) => `${name} true`));
});
