/** The page of bench/store.ts. */
import { wrap } from '../src/contract/rpc.ts';
import type { RecordInfo } from '../src/contract/weight-layout.ts';
import { createReaderWorker } from '../workers/record-reader.ts';
import type { StoreWorker } from './store-worker.ts';

const stores = wrap<StoreWorker>(new Worker(new URL('./store-worker.ts', import.meta.url), { type: 'module' }));
const reader = createReaderWorker();

/** GB/s of the engine's own way: whole records from the reader worker, `atOnce` under way. */
async function readerRate(records: readonly RecordInfo[], atOnce: number): Promise<number> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < records.length) await reader.read('bench', records[next++]);
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: atOnce }, lane));
  return records.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6 / (performance.now() - started);
}

const bench = {
  async run(count: number, bytes: number, rounds: number) {
    const { infos, write } = await stores.fill(count, bytes);
    const results: Record<string, number[]> = {};
    const add = async (name: string, measured: Promise<number>): Promise<void> => {
      const value = await measured;
      results[name] = [...(results[name] ?? []), value];
    };
    for (let round = 0; round < rounds; round++) {
      // In turns: what else the machine does falls on all of them alike. The reader's first round also checks hashes.
      for (const atOnce of [1, 2, 4]) await add(`IndexedDB bare, ${atOnce} at once`, stores.bareIndexedDb(infos.indexeddb, atOnce));
      await add(round === 0 ? 'IndexedDB reader, hashing' : 'IndexedDB reader', readerRate(infos.indexeddb, 2));
      await add('OPFS bare', stores.bareOpfs(infos.opfs));
      await add(round === 0 ? 'OPFS reader, hashing' : 'OPFS reader', readerRate(infos.opfs, 2));
    }
    await stores.clear();
    return { write, results };
  },
};

export type BenchPage = typeof bench;
(globalThis as unknown as { bench: BenchPage }).bench = bench;
