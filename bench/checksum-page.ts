/** The page of bench/checksum.ts. */
import { wrap } from '../src/contract/rpc.ts';
import type { ChecksumWorker } from './checksum-worker.ts';

const worker = wrap<ChecksumWorker>(new Worker(new URL('./checksum-worker.ts', import.meta.url), { type: 'module' }));

const bench = { run: (megabytes: number[], rounds: number) => worker.run(megabytes, rounds) };

export type BenchPage = typeof bench;
(globalThis as unknown as { bench: BenchPage }).bench = bench;
