/** The page of bench/store.ts. */
import { wrap } from '../src/contract/rpc.ts';
import type { RecordInfo } from '../workers/format/manifest.ts';
import { sliceRecord } from '../workers/format/slices.ts';
import { createReaderWorker, type RecordReader } from '../workers/store/record-reader.ts';
import type { StoreWorker } from './store-worker.ts';

const stores = wrap<StoreWorker>(new Worker(new URL('./store-worker.ts', import.meta.url), { type: 'module' }));
const reader = createReaderWorker();
reader.open?.();

interface ReaderOptions {
  /** Default: one that has read all records before. */
  from?: RecordReader;
  /** Cuts each record for this many threads. */
  threads?: number;
  /** Takes parts as they arrive. */
  early?: boolean;
  /** Copies each record to other memory: as its parts arrive, or when all of it has been read. */
  copies?: boolean;
}

/** Stands for staging buffers. */
let copied = new Uint8Array(0);

/** Returns GB/s of the engine's way of reading: records from the reader worker, `concurrency` at a time. */
async function readerRate(
  records: readonly RecordInfo[],
  concurrency: number,
  { from = reader, threads, early, copies }: ReaderOptions = {},
): Promise<number> {
  const most = Math.max(...records.map(({ bytes }) => bytes));
  if (copies && copied.byteLength !== most) copied = new Uint8Array(most).fill(1);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < records.length) {
      const record = records[next++];
      const slices = threads ? halves(record, threads) : undefined;
      let at = 0;
      const copy = (part: Uint8Array): void => {
        if (!copies) return;
        copied.set(part, at);
        at += part.byteLength;
      };
      const parts = early ? { add: copy, reset: () => (at = 0) } : undefined;
      const read = await from.read('bench', record, undefined, { slices, parts });
      if (at === 0) for (const part of read.parts) copy(part);
      from.recycle!(read);
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: concurrency }, lane));
  return records.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6 / (performance.now() - started);
}

/** Cuts every matrix of a record into equal numbers of rows. */
function halves({ tensors }: RecordInfo, threads: number) {
  const boundary = (rows: number, index: number): number => Math.floor((rows * index) / threads / 4) * 4;
  return sliceRecord(
    tensors,
    Array.from({ length: threads }, (_, thread) =>
      tensors.map(({ rows }) => ({ from: boundary(rows, thread), to: boundary(rows, thread + 1) })),
    ),
  );
}

/** Returns GB/s of a new reader that has its buffers but checks each record. */
async function firstReadingRate(records: readonly RecordInfo[], checksum: boolean, threads?: number): Promise<number> {
  const from = createReaderWorker();
  const infos = checksum ? records : records.map((record) => ({ ...record, xxh64: '' }));
  const options = { from, ...(threads && { threads }) };
  await readerRate(infos.slice(0, 2), 2, options);
  return readerRate(infos.slice(2), 2, options);
}

const bench = {
  async run(count: number, bytes: number, rounds: number) {
    const { infos, write } = await stores.fill(count, bytes);
    const results: Record<string, number[]> = {};
    const add = async (name: string, measured: Promise<number>): Promise<void> => {
      results[name] = [...(results[name] ?? []), await measured];
    };
    // The first read of a record checks it.
    await Promise.all([readerRate(infos.indexeddb, 2), readerRate(infos.opfs, 2)]);
    for (let round = 0; round < rounds; round++) {
      // Alternating, so that other work on the machine affects all of them alike.
      for (const concurrency of [1, 2, 4])
        await add(`IndexedDB bare, ${concurrency} at once`, stores.bareIndexedDb(infos.indexeddb, concurrency, false));
      for (const concurrency of [1, 2, 4])
        await add(
          `IndexedDB bare, ${concurrency} at once, into the same buffers`,
          stores.bareIndexedDb(infos.indexeddb, concurrency, true),
        );
      await add('IndexedDB, the reader', readerRate(infos.indexeddb, 2));
      await add('OPFS bare, into one buffer', stores.bareOpfs(infos.opfs));
      await add('OPFS, the reader', readerRate(infos.opfs, 2));
      for (const [name, records] of [
        ['IndexedDB', infos.indexeddb],
        ['OPFS', infos.opfs],
      ] as const) {
        await add(`${name}, the reader, parts as they arrive`, readerRate(records, 2, { early: true }));
        await add(`${name}, the reader, one record at a time, then copied`, readerRate(records, 1, { copies: true }));
        const both = { early: true, copies: true };
        await add(`${name}, the reader, one record at a time, parts copied`, readerRate(records, 1, both));
      }
      await add('OPFS, the reader, slices of two threads', readerRate(infos.opfs, 2, { threads: 2 }));
      await add('IndexedDB, the reader, slices of two threads', readerRate(infos.indexeddb, 2, { threads: 2 }));
      for (const [name, records] of [
        ['IndexedDB', infos.indexeddb],
        ['OPFS', infos.opfs],
      ] as const) {
        await add(`${name}, first reading, SHA-256`, firstReadingRate(records, false));
        await add(`${name}, first reading, XXH64`, firstReadingRate(records, true));
      }
      await add('OPFS, first reading, XXH64, slices', firstReadingRate(infos.opfs, true, 2));
    }
    await stores.clear();
    return { write, results };
  },
};

export type BenchPage = typeof bench;
(globalThis as unknown as { bench: BenchPage }).bench = bench;
