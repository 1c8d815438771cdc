/** The page of bench/store.ts. */
import { wrap } from '../src/contract/rpc.ts';
import type { RecordInfo } from '../workers/format/manifest.ts';
import { createReaderWorker } from '../workers/store/record-reader.ts';
import type { StoreWorker } from './store-worker.ts';

const stores = wrap<StoreWorker>(new Worker(new URL('./store-worker.ts', import.meta.url), { type: 'module' }));
const reader = createReaderWorker();

/** Returns GB/s of the engine's way of reading: whole records from the reader worker, `concurrency` at a time. */
async function readerRate(records: readonly RecordInfo[], concurrency: number): Promise<number> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < records.length) reader.recycle!(await reader.read('bench', records[next++]));
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: concurrency }, lane));
  return records.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6 / (performance.now() - started);
}

const bench = {
  async run(count: number, bytes: number, rounds: number) {
    const { infos, write } = await stores.fill(count, bytes);
    const results: Record<string, number[]> = {};
    const add = async (name: string, measured: Promise<number>): Promise<void> => {
      results[name] = [...(results[name] ?? []), await measured];
    };
    // The first read of a record checks its hash.
    await add('IndexedDB, the reader, first reading with hashes', readerRate(infos.indexeddb, 2));
    await add('OPFS, the reader, first reading with hashes', readerRate(infos.opfs, 2));
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
    }
    await stores.clear();
    return { write, results };
  },
};

export type BenchPage = typeof bench;
(globalThis as unknown as { bench: BenchPage }).bench = bench;
