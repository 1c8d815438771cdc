/** Parts of a record that arrive before the rest is read: from a database through the reader worker, and from a file. */
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LinkedWorker } from '../../src/contract/worker-link.ts';
import { PART_BYTES, type RecordInfo } from '../format/manifest.ts';
import type { RecordParts } from '../format/record-parts.ts';
import { sliceRecord } from '../format/slices.ts';
import { layoutTensor, WEIGHT_TYPES } from '../format/weight-layout.ts';
import { BufferPool } from './buffer-pool.ts';
import { FakeReader } from './fake-reader-testing.ts';
import { sha256Hex, startChecksum, xxh64Hex } from './hash.ts';
import { KeyValueStore } from './key-value-store.ts';
import { MemoryValues } from './memory-store.ts';
import { readFile } from './read-file.ts';
import { ReadProgress } from './read-progress.ts';
import { ReaderService, type RepairRecord } from './reader-service.ts';
import { createReaderWorker } from './record-reader.ts';

const never = new Promise<never>(() => {});
const SIZE = 2 * PART_BYTES + 1000;
const BYTES = new Uint8Array(SIZE).map((_, i) => (i * 31) ^ (i >>> 12));
const stored = new MemoryValues();
let record: RecordInfo & { xxh64: string };

beforeAll(async () => {
  const parts = await new KeyValueStore(stored).putRecord('m', 'L0.E0', BYTES);
  const [sha256, xxh64] = await Promise.all([sha256Hex(BYTES), xxh64Hex(BYTES)]);
  record = { key: 'L0.E0', bytes: SIZE, parts, sha256, xxh64: xxh64!, tensors: [], finite: true };
  expect(parts).toBe(3);
});

const workers: FakeReader[] = [];
beforeEach(() => vi.stubGlobal('navigator', {})); // Node 20 has none, and later ones have locks
afterEach(() => {
  for (const worker of workers.splice(0)) worker.terminate();
  vi.unstubAllGlobals();
});

const blobOf = (part: number): Blob => stored.entries.get(`record/m/L0.E0/000${part}`) as Blob;

/** A part whose bytes come only after what `ready` returns. */
function delayed(part: number, ready: () => Promise<void>): Blob {
  const blob = new Blob([blobOf(part)]);
  blob.stream = () => new ReadableStream(); // no bytes, so it is not read as a stream
  blob.arrayBuffer = () => ready().then(() => blobOf(part).arrayBuffer());
  return blob;
}

interface ReaderOptions {
  repair?: RepairRecord;
  /** Values that the first reader gets, the second, ... in place of those that are stored. */
  values?: Record<number, Blob>[];
  tickMs?: number;
}

/** A reader worker, and the bytes that were recycled there. */
function startReader({
  repair = () => Promise.reject(new Error('no source')),
  values = [],
  tickMs,
}: ReaderOptions = {}) {
  const recycled: number[] = [];
  let started = 0;
  const reader = createReaderWorker(() => {
    const own = new MemoryValues();
    for (const [key, value] of stored.entries) own.entries.set(key, value);
    const changed = values[started++] ?? {};
    for (const [part, blob] of Object.entries(changed)) own.entries.set(`record/m/L0.E0/000${part}`, blob);
    const buffers = new BufferPool(4 * SIZE);
    const recycle = buffers.recycle.bind(buffers);
    vi.spyOn(buffers, 'recycle').mockImplementation((buffer) => {
      if (buffer.byteLength > 0) recycled.push(buffer.byteLength);
      recycle(buffer);
    });
    const progress = new ReadProgress();
    const store = new KeyValueStore(own, undefined, buffers, progress.note);
    workers.push(new FakeReader((post) => new ReaderService({ store, buffers, repair, progress, post })));
    return workers.at(-1) as unknown as LinkedWorker;
  }, tickMs);
  return { reader, recycled };
}

/** Notes what it gets. */
function receiver(onPart: (index: number) => void = () => {}) {
  const log: (number | 'reset')[] = [];
  const parts: Uint8Array[] = [];
  return {
    log,
    parts,
    add: (part: Uint8Array<ArrayBuffer>, index: number) => {
      log.push(index);
      parts[index] = part;
      onPart(index);
    },
    reset: () => void log.push('reset'),
  };
}

/** toEqual takes seconds for so many bytes if they differ. */
const isEqual = (bytes: Uint8Array, expected: Uint8Array = BYTES): boolean => Buffer.compare(bytes, expected) === 0;

/** Whether a record is {@link BYTES}, without a copy of all its parts. */
function isRecord({ byteLength, parts }: RecordParts): boolean {
  const starts = parts.map((_, index) => parts.slice(0, index).reduce((sum, part) => sum + part.byteLength, 0));
  const sum = parts.reduce((total, part) => total + part.byteLength, 0);
  const areEqual = parts.every((part, index) =>
    isEqual(part, BYTES.subarray(starts[index], starts[index] + part.byteLength)),
  );
  return byteLength === SIZE && sum === SIZE && areEqual;
}

describe('parts from the database', () => {
  it('come while the rest is being read, and are those of the record', async () => {
    let release = (): void => {};
    const second = new Promise<void>((resolve) => (release = resolve));
    const { reader } = startReader({ values: [{ 2: delayed(2, () => second) }] });
    const parts = receiver((index) => index === 1 && release()); // the third one waits for the second
    const read = await reader.read('m', record, undefined, { parts });
    expect(parts.log).toEqual([0, 1, 2]);
    expect(isRecord(read)).toBe(true);
    expect(read.parts.map((part, index) => part === parts.parts[index])).toEqual([true, true, true]);
  });

  it('come in any order once the record has been checked, and in theirs for the check', async () => {
    let others = Promise.resolve();
    const { reader } = startReader({ values: [{ 0: delayed(0, () => others) }] });
    for (const expected of [
      [0, 1, 2],
      [1, 2, 0],
    ]) {
      let release = (): void => {};
      if (expected[0] > 0) others = new Promise((resolve) => (release = resolve));
      const parts = receiver((index) => index === 2 && release());
      const read = await reader.read('m', record, undefined, { parts });
      expect(parts.log).toEqual(expected);
      expect(isRecord(read)).toBe(true);
    }
  });

  it('are recycled if the read is cancelled in the middle', async () => {
    const { reader, recycled } = startReader({ values: [{ 2: delayed(2, () => never) }] });
    const controller = new AbortController();
    const parts = receiver((index) => index === 1 && controller.abort());
    const read = reader.read('m', record, controller.signal, { parts });
    read.catch(() => {});
    await expect.poll(() => recycled).toEqual([PART_BYTES, PART_BYTES]);
    expect(parts.log).toEqual([0, 1, 'reset']);
  });

  it('are void if the record is damaged', async () => {
    const damaged = new Uint8Array(await blobOf(2).arrayBuffer());
    damaged[7] ^= 1;
    const values = [{ 2: new Blob([damaged]) }];
    const failing = startReader({ values });
    const parts = receiver();
    await expect(failing.reader.read('m', record, undefined, { parts })).rejects.toThrow('no source');
    expect(parts.log.slice(0, 4)).toEqual([0, 1, 2, 'reset']);
    expect(parts.log.at(-1)).toBe('reset');
    const repaired = receiver();
    const { reader } = startReader({ values, repair: async () => BYTES.slice() });
    const read = await reader.read('m', record, undefined, { parts: repaired });
    expect(repaired.log.at(-1)).toBe('reset');
    expect(isRecord(read)).toBe(true);
  });

  it('are void if the checksum itself is damaged, and their memory is used again', async () => {
    const { reader, recycled } = startReader();
    const parts = receiver();
    const read = await reader.read('m', { ...record, xxh64: '0'.repeat(16) } as RecordInfo, undefined, { parts });
    expect(parts.log).toEqual([0, 1, 2, 'reset']);
    expect(isRecord(read)).toBe(true);
    await expect.poll(() => recycled).toEqual(expect.arrayContaining([PART_BYTES, PART_BYTES, 1000]));
  });

  it('are void if the rest cannot be read, twice, and the record is fetched again', async () => {
    const unreadable = () => Promise.reject(new DOMException('the disk is broken', 'NotReadableError'));
    const { reader } = startReader({ values: [{ 2: delayed(2, unreadable) }], repair: async () => BYTES.slice() });
    const parts = receiver();
    const read = await reader.read('m', record, undefined, { parts });
    expect(parts.log).toEqual([0, 1, 'reset', 0, 1, 'reset']);
    expect(isRecord(read)).toBe(true);
  });

  it('are repeated by the next reader if one hangs in the middle', async () => {
    const { reader } = startReader({ values: [{ 2: delayed(2, () => never) }], tickMs: 50 });
    const parts = receiver();
    const read = await reader.read('m', record, undefined, { parts });
    expect(parts.log).toEqual([0, 1, 'reset', 0, 1, 2]);
    expect(isRecord(read)).toBe(true);
    expect(read.parts.map((part, index) => part === parts.parts[index])).toEqual([true, true, true]);
    expect(workers.map(({ terminated }) => terminated)).toEqual([true, false]);
  });

  it.each([
    ['has no checksum', { xxh64: '' }],
    ['was not checked for NaN', { finite: undefined }],
  ])('come only from the second reading on if the record of an old store %s', async (_, info) => {
    const { reader } = startReader();
    for (const expected of [[], [0, 1, 2]]) {
      const parts = receiver();
      const old = { ...record, ...info } as unknown as RecordInfo;
      const read = await reader.read('m', old, undefined, { parts });
      expect([...parts.log].sort()).toEqual(expected);
      expect(isRecord(read)).toBe(true);
    }
  });

  it('do not come early if nobody wants them, if there is one, or for slices', async () => {
    const post = vi.spyOn(FakeReader.prototype, 'dispatchEvent');
    const early = () => post.mock.calls.filter(([event]) => 'mixtabRead' in (event as MessageEvent).data).length;
    const { reader } = startReader();
    await reader.read('m', record);
    const small = { ...record, key: 'L0.E1', bytes: 1000, parts: 1 };
    const bytes = BYTES.slice(0, 1000);
    await new KeyValueStore(stored).putRecord('m', small.key, bytes);
    const hashes = { sha256: await sha256Hex(bytes), xxh64: (await xxh64Hex(bytes))! };
    const parts = receiver();
    const next = startReader().reader;
    expect((await next.read('m', { ...small, ...hashes }, undefined, { parts })).parts).toHaveLength(1);
    const tensors = [layoutTensor('gate', WEIGHT_TYPES.F32, 64, 64, 0)];
    const slices = sliceRecord(tensors, [[{ from: 0, to: 32 }], [{ from: 32, to: 64 }]]);
    expect((await reader.read('m', record, undefined, { slices })).parts).toHaveLength(2);
    expect(parts.log).toEqual([]);
    expect(early()).toBe(0);
    post.mockRestore();
  });
});

describe('parts of a file', () => {
  /** A file that delivers at most `most` bytes at once. */
  const fileOf = (bytes: Uint8Array, most = Number.POSITIVE_INFINITY) =>
    ({
      getSize: () => bytes.byteLength,
      read: (into: Uint8Array, { at }: { at: number }) => {
        const piece = bytes.subarray(at, at + Math.min(into.byteLength, most));
        into.set(piece);
        return piece.byteLength;
      },
    }) as unknown as FileSystemSyncAccessHandle;

  it.each([Number.POSITIVE_INFINITY, 1_000_003])(
    'come in order, each in its buffer, %d bytes at once',
    async (most) => {
      const parts = receiver();
      const checksum = (await startChecksum())!;
      const read = await readFile(fileOf(BYTES, most), record, { buffers: new BufferPool(), checksum, parts });
      expect(parts.log).toEqual([0, 1, 2]);
      expect(read.parts.map((part, index) => part === parts.parts[index]).every(Boolean)).toBe(true);
      expect(read.parts.every((part) => part.byteLength === part.buffer.byteLength)).toBe(true);
      expect(isRecord(read)).toBe(true);
      expect(checksum.digest()).toBe(record.xxh64);
    },
  );

  it('are one, which does not come early, if the file is no larger', async () => {
    const parts = receiver();
    const small = BYTES.slice(0, PART_BYTES);
    const info = { ...record, bytes: small.byteLength };
    const read = await readFile(fileOf(small), info, { buffers: new BufferPool(), parts });
    expect(parts.log).toEqual([]);
    expect(read.parts).toHaveLength(1);
    expect(isEqual(read.parts[0], small)).toBe(true);
  });

  it('end if the read is cancelled, or the file ends early, and are recycled unless they were sent', async () => {
    const buffers = new BufferPool(SIZE);
    const controller = new AbortController();
    const parts = receiver((index) => {
      if (index === 0) structuredClone(null, { transfer: [parts.parts[0].buffer as ArrayBuffer] });
      if (index === 1) controller.abort();
    });
    const { signal } = controller;
    await expect(readFile(fileOf(BYTES), record, { buffers, signal, parts })).rejects.toMatchObject({
      code: 'aborted',
    });
    expect(parts.log).toEqual([0, 1]);
    expect(buffers.take(PART_BYTES)).toBe(parts.parts[1].buffer);
    expect(buffers.take(PART_BYTES)).not.toBe(parts.parts[0].buffer);

    const ending = fileOf(BYTES.subarray(0, 2 * PART_BYTES));
    ending.getSize = () => SIZE;
    const early = receiver();
    await expect(readFile(ending, record, { buffers, parts: early })).rejects.toMatchObject({ code: 'record-damaged' });
    expect(early.log).toEqual([0, 1]);
  });
});
