/** The only module on the main thread that names the workers. */
import type { EngineApi } from '../contract/engine-api.ts';
import type { MixtabError } from '../contract/errors.ts';
import type { ImportApi } from '../contract/import-api.ts';
import type { Remote } from '../contract/rpc.ts';
import type { SiteStoreMessage } from '../contract/site-store.ts';
import { WorkerLink, type WorkerLinkOptions } from '../contract/worker-link.ts';
import { noteClosing, pageFactsMessage } from './page-facts.ts';

/** A worker behind its typed interface. If it dies, its calls reject, and the next call starts another one. */
export interface WorkerClient<Api> {
  api: Remote<Api>;
  /** Ends the worker for good. Calls in progress reject with `aborted`. */
  terminate(): void;
  /** Ends the worker, whatever it does. Calls in progress reject with `aborted`, and the next one starts another. */
  restart(): void;
  /** Gives it, and each worker that replaces it, a port to the site's own store. */
  attachSiteStore(open: () => MessagePort): void;
}

/** Called when the worker did not start or died, even if no call was running. */
type OnFailure = (error: MixtabError) => void;

/** Starts the worker that fills the store. */
export function createImportClient(onFailure?: OnFailure): WorkerClient<ImportApi> {
  return clientOf<ImportApi>({
    start: () =>
      new Worker(new URL('../../workers/import.worker.ts', import.meta.url), { type: 'module', name: 'import' }),
    task: 'imports models',
    died: { code: 'worker-unavailable', remedy: 'Try again: what an import has stored is kept.' },
    onFailure,
  });
}

/** Starts the worker that computes. */
export function createEngineClient(onFailure?: OnFailure): WorkerClient<EngineApi> {
  globalThis.addEventListener?.('pagehide', noteClosing);
  return clientOf<EngineApi>({
    start: () =>
      new Worker(new URL('../../workers/engine.worker.ts', import.meta.url), { type: 'module', name: 'engine' }),
    task: 'computes the model',
    repeatable: ['probe', 'load'] satisfies (keyof EngineApi)[],
    stopping: 'stop' satisfies keyof EngineApi,
    died: {
      code: 'worker-failed',
      remedy: 'Load the model again; if this happens again, lower the memory budget in the settings.',
    },
    onFailure,
  });
}

function clientOf<Api>({
  onFailure,
  ...options
}: Omit<WorkerLinkOptions, 'onStart' | 'onFailure'> & { onFailure: OnFailure | undefined }): WorkerClient<Api> {
  let openSiteStore: (() => MessagePort) | undefined;
  const attach = (worker: WorkerLink<Api>['worker']): void => {
    worker?.postMessage(pageFactsMessage());
    const port = openSiteStore?.();
    if (port) worker?.postMessage({ mixtabSiteStore: port } satisfies SiteStoreMessage, [port]);
  };
  const link = new WorkerLink<Api>({ ...options, onStart: attach, ...(onFailure && { onFailure }) }).open();
  return {
    api: link.api,
    terminate() {
      noteClosing();
      link.close();
    },
    restart() {
      noteClosing();
      link.end();
    },
    attachSiteStore(open) {
      openSiteStore = open;
      attach(link.worker);
    },
  };
}
