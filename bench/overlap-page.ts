/** The page of bench/overlap.ts: the import worker, and an engine worker whose reader can be slowed down. */
import { createImportClient } from '../src/connect/worker-clients.ts';
import type { GenerateRequest, LoadRequest } from '../src/contract/engine-api.ts';
import type { ImportOptions } from '../src/contract/import-api.ts';
import { proxy, wrap } from '../src/contract/rpc.ts';
import type { SlowEngineApi } from './slow-engine.worker.ts';

const engine = wrap<SlowEngineApi>(
  new Worker(new URL('./slow-engine.worker.ts', import.meta.url), { type: 'module', name: 'engine' }),
);
const importer = createImportClient().api;
const quiet = proxy(() => {});

const bench = {
  import: (url: string, options: ImportOptions) => importer.import({ kind: 'url', url }, quiet, options),
  load: (request: LoadRequest) => engine.load(request, quiet),
  generate: (request: GenerateRequest) => engine.generate(request, quiet),
  limitReading: (bytesPerSecond: number) => engine.limitReading(bytesPerSecond),
  readRate: (modelId: string, bytes: number) => engine.readRate(modelId, bytes),
};

export type BenchPage = typeof bench;
(globalThis as unknown as { bench: BenchPage }).bench = bench;
