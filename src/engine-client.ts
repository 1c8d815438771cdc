/** The only module on the main thread that names the workers. */
import type { EngineApi, ImportApi } from './contract/engine-api.ts';
import { type Remote, wrap } from './contract/rpc.ts';

/** A worker behind its typed interface. */
export interface WorkerClient<Api> {
  api: Remote<Api>;
  /** Ends the worker; calls in flight never settle. */
  terminate(): void;
}

/** Starts the worker that fills the store. */
export function createImportClient(): WorkerClient<ImportApi> {
  const worker = new Worker(new URL('../workers/import.worker.ts', import.meta.url), {
    type: 'module',
    name: 'import',
  });
  return { api: wrap<ImportApi>(worker), terminate: () => worker.terminate() };
}

/** Starts the worker that owns the GPU device. */
export function createEngineClient(): WorkerClient<EngineApi> {
  const worker = new Worker(new URL('../workers/engine.worker.ts', import.meta.url), {
    type: 'module',
    name: 'engine',
  });
  return { api: wrap<EngineApi>(worker), terminate: () => worker.terminate() };
}
