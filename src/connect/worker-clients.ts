/** The only module on the main thread that names the workers. */
import type { EngineApi } from '../contract/engine-api.ts';
import type { MixtabError } from '../contract/errors.ts';
import type { ImportApi } from '../contract/import-api.ts';
import { newWorkerId } from '../contract/page-facts.ts';
import type { Remote } from '../contract/rpc.ts';
import type { SiteStoreMessage } from '../contract/site-store.ts';
import { type LinkedWorker, WorkerLink, type WorkerLinkOptions } from '../contract/worker-link.ts';
import { forgetClosing, noteClosing, pageFactsMessage } from './page-facts.ts';

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
  return clientOf<EngineApi>({
    start: () =>
      new Worker(new URL('../../workers/engine.worker.ts', import.meta.url), { type: 'module', name: 'engine' }),
    task: 'computes the model',
    repeatable: ['probe', 'load'] satisfies (keyof EngineApi)[],
    stopping: 'stop' satisfies keyof EngineApi,
    usesFacts: 'load' satisfies keyof EngineApi,
    died: {
      code: 'worker-failed',
      remedy: 'Load the model again; if this happens again, lower the memory budget in the settings.',
    },
    onFailure,
  });
}

interface ClientOptions extends Omit<WorkerLinkOptions, 'onStart' | 'onCall' | 'onUnresponsive' | 'onFailure'> {
  /** The method that reads the page's facts. Without one, the worker gets none. */
  usesFacts?: string;
  onFailure: OnFailure | undefined;
}

function clientOf<Api>({ usesFacts, onFailure, ...options }: ClientOptions): WorkerClient<Api> {
  let openSiteStore: (() => MessagePort) | undefined;
  let workerId = newWorkerId();
  const attach = (worker: WorkerLink<Api>['worker']): void => {
    const port = openSiteStore?.();
    if (port) worker?.postMessage({ mixtabSiteStore: port } satisfies SiteStoreMessage, [port]);
  };
  const tellFacts = (worker: LinkedWorker): void => worker.postMessage(pageFactsMessage(workerId));
  const noteEnd = (): void => void (usesFacts && noteClosing(workerId));
  if (usesFacts) watchPage(noteEnd, () => forgetClosing(workerId));
  const link = new WorkerLink<Api>({
    ...options,
    onStart: (worker) => {
      workerId = newWorkerId();
      if (usesFacts) tellFacts(worker);
      if (isHidden()) noteEnd();
      attach(worker);
    },
    // Others may have been closed since the worker was started.
    onCall: (worker, method) => method === usesFacts && tellFacts(worker),
    onUnresponsive: noteEnd,
    ...(onFailure && { onFailure }),
  }).open();
  return {
    api: link.api,
    terminate() {
      noteEnd();
      link.close();
    },
    restart() {
      noteEnd();
      link.end();
    },
    attachSiteStore(open) {
      openSiteStore = open;
      attach(link.worker);
    },
  };
}

/** A browser may end the page of a hidden tab without an event, so a hidden page counts as closed until it is shown. */
function watchPage(onClose: () => void, onShow: () => void): void {
  globalThis.addEventListener?.('pagehide', onClose);
  globalThis.document?.addEventListener('visibilitychange', () => (isHidden() ? onClose() : onShow()));
}

const isHidden = (): boolean => globalThis.document?.visibilityState === 'hidden';
