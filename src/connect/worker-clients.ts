/** The only module on the main thread that names the workers. */
import type { EngineApi } from '../contract/engine-api.ts';
import type { ImportApi } from '../contract/import-api.ts';
import { type Remote, wrap } from '../contract/rpc.ts';
import type { SiteStoreMessage } from '../contract/site-store.ts';

/** A worker behind its typed interface. */
export interface WorkerClient<Api> {
  api: Remote<Api>;
  /** Ends the worker. Calls in progress never settle. */
  terminate(): void;
  /** Gives it ports to the site's own store: one for it, and one for the worker that it starts, if any. */
  attachSiteStore(ports: MessagePort[]): void;
}

/** Starts the worker that fills the store. */
export function createImportClient(): WorkerClient<ImportApi> {
  const worker = new Worker(new URL('../../workers/import.worker.ts', import.meta.url), {
    type: 'module',
    name: 'import',
  });
  return clientOf<ImportApi>(worker);
}

/** Starts the worker that computes. */
export function createEngineClient(): WorkerClient<EngineApi> {
  const worker = new Worker(new URL('../../workers/engine.worker.ts', import.meta.url), {
    type: 'module',
    name: 'engine',
  });
  return clientOf<EngineApi>(worker);
}

function clientOf<Api>(worker: Worker): WorkerClient<Api> {
  return {
    api: wrap<Api>(worker),
    terminate: () => worker.terminate(),
    attachSiteStore: (ports) => worker.postMessage({ mixtabSiteStore: ports } satisfies SiteStoreMessage, ports),
  };
}
