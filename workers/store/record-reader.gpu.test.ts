/** The reader worker: cancelled reads, damage and slices, from the database and from files. */
import { afterAll, describe, expect, it } from 'vitest';
import type { StorageBackend } from '../../src/contract/import-api.ts';
import { expose } from '../../src/contract/rpc.ts';
import { PART_BYTES, type RecordInfo } from '../format/manifest.ts';
import type { RecordParts } from '../format/record-parts.ts';
import { copyToSlices, sliceRecord } from '../format/slices.ts';
import { layoutTensor, WEIGHT_TYPES } from '../format/weight-layout.ts';
import { sha256Hex, xxh64Hex } from './hash.ts';
import { xxh64OfParts } from './hash-testing.ts';
import { IndexedDbStore } from './indexed-db-store.ts';
import { createReaderWorker } from './record-reader.ts';

const MODEL = 'record-reader-test';
const store = new IndexedDbStore();
const folderOf = async () =>
  (await navigator.storage.getDirectory()).getDirectoryHandle('mixtab-records', { create: true });
afterAll(async () => {
  await store.removeModel(MODEL);
  await (await folderOf()).removeEntry(MODEL, { recursive: true });
});

/** Stores a record of `parts` parts: two or three take a while to read. */
const storeRecord = (storage: StorageBackend, n: number, parts: 1 | 2 | 3): ReturnType<typeof storeBytes> =>
  storeBytes(storage, `L0.E${n}`, new Uint8Array((parts - 1) * PART_BYTES + 1000 * (n + 1)).fill(n + 1));

async function storeBytes(
  storage: StorageBackend,
  key: string,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<RecordInfo & { xxh64: string }> {
  if (storage === 'indexeddb') {
    await store.putRecord(MODEL, key, bytes);
  } else {
    const folder = await (await folderOf()).getDirectoryHandle(MODEL, { create: true });
    const file = await (await folder.getFileHandle(key, { create: true })).createWritable();
    await file.write(bytes);
    await file.close();
  }
  return {
    key,
    bytes: bytes.byteLength,
    parts: storage === 'opfs' ? 1 : Math.ceil(bytes.byteLength / PART_BYTES),
    sha256: await sha256Hex(bytes),
    xxh64: (await xxh64Hex(bytes))!,
    tensors: [],
    finite: true, // random bytes
    place: storage,
  };
}

const hashOf = ({ parts }: RecordParts): Promise<string> => xxh64OfParts(parts);

describe.each<StorageBackend>(['indexeddb', 'opfs'])('a read from %s', (storage) => {
  it('that is cancelled at any point is aborted, lets other reads through, and succeeds when repeated', async () => {
    const [record, other] = await Promise.all([storeRecord(storage, 0, 3), storeRecord(storage, 1, 2)]);
    const reader = createReaderWorker();
    // The first reads also check hashes.
    for (const ms of [0, 1, 3, 10, 30]) {
      const controller = new AbortController();
      const read = reader.read(MODEL, record, controller.signal);
      const parallel = reader.read(MODEL, other, new AbortController().signal);
      setTimeout(() => controller.abort(), ms);
      await read.then(
        (whole) => reader.recycle?.(whole),
        (error) => expect(error).toMatchObject({ code: 'aborted' }),
      );
      const whole = await parallel;
      expect(await hashOf(whole)).toBe(other.xxh64);
      reader.recycle?.(whole);
    }
    const immediate = new AbortController();
    const cancelled = reader.read(MODEL, record, immediate.signal);
    immediate.abort();
    await expect(cancelled).rejects.toMatchObject({ code: 'aborted' });
    await expect(reader.read(MODEL, record, immediate.signal)).rejects.toMatchObject({ code: 'aborted' });

    const late = new AbortController();
    const whole = await reader.read(MODEL, record, late.signal);
    late.abort(); // no effect: the record belongs to the caller
    expect(await hashOf(whole)).toBe(record.xxh64);
  });

  it('that is cancelled before its hash was checked is checked the next time', async () => {
    const record = { ...(await storeRecord(storage, 2, 3)), sha256: '0'.repeat(64), xxh64: '0'.repeat(16) };
    const reader = createReaderWorker();
    const controller = new AbortController();
    const read = reader.read(MODEL, record, controller.signal);
    controller.abort();
    await expect(read).rejects.toMatchObject({ code: 'aborted' });
    await expect(reader.read(MODEL, record)).rejects.toMatchObject({
      code: expect.stringMatching(/^(record-damaged|model-not-found)$/),
    });
  });

  it('gives parts early if they are wanted, which are those of the record, and none of a cancelled read', async () => {
    const record = await storeRecord(storage, 6, 3);
    const reader = createReaderWorker();
    for (let round = 0; round < 3; round++) {
      let isOver = false;
      const early = new Map<number, Uint8Array>();
      const add = (part: Uint8Array, index: number) => {
        expect(isOver).toBe(false);
        early.set(index, part);
      };
      const whole = await reader.read(MODEL, record, undefined, { parts: { add, reset: () => early.clear() } });
      isOver = true;
      expect(await hashOf(whole)).toBe(record.xxh64);
      expect(early.size).toBe(whole.parts.length);
      expect(early.size).toBe(3);
      expect(whole.parts.every((part, index) => part === early.get(index))).toBe(true);
      reader.recycle?.(whole);
    }
    const controller = new AbortController();
    let isValid = true;
    const parts = {
      add: () => {
        expect(isValid).toBe(true);
        controller.abort();
      },
      reset: () => {
        isValid = false;
      },
    };
    const cancelled = reader.read(MODEL, record, controller.signal, { parts });
    await expect(cancelled).rejects.toMatchObject({ code: 'aborted' });
    expect(isValid).toBe(false);
    expect(await hashOf(await reader.read(MODEL, record))).toBe(record.xxh64);
  });

  it('gives each compute thread its slice in a buffer of its own, checked and reused', async () => {
    const tensors = [layoutTensor('gate', WEIGHT_TYPES.Q6_K, 37, 512, 0)];
    tensors.push(layoutTensor('down', WEIGHT_TYPES.Q6_K, 5001, 4096, tensors[0].bytes));
    const bytes = new Uint8Array(tensors[1].offset + tensors[1].bytes).map((_, i) => (i * 31) ^ (i >>> 12));
    const info = await storeBytes(storage, 'L0.E3', bytes);
    const slices = sliceRecord(tensors, [
      [
        { from: 0, to: 20 },
        { from: 0, to: 2500 },
      ],
      [
        { from: 20, to: 37 },
        { from: 2500, to: 5001 },
      ],
    ]);
    const expected = slices.map((slice) => new Uint8Array(slice.bytes));
    copyToSlices({ byteLength: bytes.byteLength, parts: [bytes] }, slices, expected);
    const hashes = await Promise.all(expected.map((slice) => xxh64OfParts([slice])));
    const old = { ...info, xxh64: '' };
    for (const record of [info, old]) {
      const reader = createReaderWorker();
      for (let round = 0; round < 3; round++) {
        const read = await reader.read(MODEL, record, new AbortController().signal, { slices });
        expect(read.byteLength).toBe(bytes.byteLength);
        expect(read.parts.map((part) => part.byteLength === part.buffer.byteLength)).toEqual([true, true]);
        expect(await Promise.all(read.parts.map((part) => xxh64OfParts([part])))).toEqual(hashes);
        for (const part of read.parts) part.fill(0xa5);
        reader.recycle?.(read);
      }
    }
    bytes[tensors[1].offset + 12345] ^= 1;
    await storeBytes(storage, 'L0.E3', bytes);
    for (const record of [info, old]) {
      await expect(createReaderWorker().read(MODEL, record, undefined, { slices })).rejects.toMatchObject({
        code: expect.stringMatching(/^(record-damaged|model-not-found)$/),
      });
    }
  });
});

it('a reader that runs but never answers is replaced, and its reads are repeated', async () => {
  const records = await Promise.all([storeRecord('indexeddb', 4, 1), storeRecord('opfs', 5, 1)]);
  const url = URL.createObjectURL(new Blob(['postMessage({ mixtabWorker: null })'], { type: 'text/javascript' }));
  const silent = new Worker(url);
  const next = new Worker(new URL('../reader.worker.ts', import.meta.url), { type: 'module' });
  await new Promise((resolve) => next.addEventListener('message', resolve, { once: true })); // its code is loaded
  const workers = [silent, next];
  const reader = createReaderWorker(() => workers.shift()!, 100);
  const read = await Promise.all(records.map((record) => reader.read(MODEL, record).then(hashOf)));
  expect(read).toEqual(records.map(({ xxh64 }) => xxh64));
  expect(workers).toEqual([]);
  next.terminate();
});

it('a reader that replaces a dead one still reads the models of the site', async () => {
  const bytes = new Uint8Array(1000).fill(7);
  const record = { ...(await storeBytes('indexeddb', 'L9.E9', bytes)), bytes: bytes.byteLength, parts: 1 };
  const values = new Map([[`record/site-model/${record.key}/0000`, new Blob([bytes])]]);
  const siteStore = { models: async () => [], getMany: async (keys: string[]) => keys.map((key) => values.get(key)) };
  let opened = 0;
  let worker: Worker | undefined;
  const reader = createReaderWorker(() => {
    worker = new Worker(new URL('../reader.worker.ts', import.meta.url), { type: 'module' });
    return worker;
  });
  reader.attachSiteStore(async () => {
    opened++;
    const { port1, port2 } = new MessageChannel();
    expose(siteStore, port1);
    return port2;
  });
  const read = () => reader.read('site-model', record).then(hashOf);
  expect(await read()).toBe(record.xxh64);
  worker?.terminate();
  // The first read may still be sent to the dead one.
  await expect.poll(() => read().catch(({ code }) => code)).toBe(record.xxh64);
  expect(opened).toBe(2);
});
