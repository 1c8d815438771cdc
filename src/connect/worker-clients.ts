/** The only module on the main thread that names the workers. */
import type { EngineApi } from '../contract/engine-api.ts';
import type { MixtabError } from '../contract/errors.ts';
import { type HandOverMessage, isHandOverMessage } from '../contract/hand-over.ts';
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
  /** The worker that runs, if any. */
  readonly worker: LinkedWorker | undefined;
  /** Calls `listener` when the worker has been replaced, and when it has ended without being asked to. */
  onChange(listener: () => void): void;
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

/**
 * Lets the import worker hand the records of a small model to the engine that loads it, see src/contract/hand-over.ts.
 * If one of the two workers ends, what was on its way is lost, and the engine reads it from the store.
 */
export function connectForHandOver(importer: WorkerClient<ImportApi>, engine: WorkerClient<EngineApi>): void {
  const connected = new WeakSet<LinkedWorker>();
  const passOn = (from: WorkerClient<unknown>, to: WorkerClient<unknown>): void => {
    const { worker } = from;
    if (!worker) return;
    worker.postMessage({ mixtabHandOver: null } satisfies HandOverMessage);
    if (connected.has(worker)) return;
    connected.add(worker);
    worker.addEventListener('message', (event) => {
      const { data } = event as MessageEvent<unknown>;
      const isCurrent = from.worker === worker; // one that was ended may have sent a message before
      if (isCurrent && isHandOverMessage(data)) to.worker?.postMessage(data, data.buffers ?? []);
    });
  };
  const connect = (): void => {
    passOn(importer, engine);
    passOn(engine, importer);
  };
  importer.onChange(connect);
  engine.onChange(connect);
  connect();
}

interface ClientOptions extends Omit<WorkerLinkOptions, 'onStart' | 'onCall' | 'onUnresponsive' | 'onFailure'> {
  /** The method that reads the page's facts. Without one, the worker gets none. */
  usesFacts?: string;
  onFailure: OnFailure | undefined;
}

function clientOf<Api>({ usesFacts, onFailure, ...options }: ClientOptions): WorkerClient<Api> {
  let openSiteStore: (() => MessagePort) | undefined;
  let changed = (): void => {};
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
      changed();
    },
    // Others may have been closed since the worker was started.
    onCall: (worker, method) => method === usesFacts && tellFacts(worker),
    onUnresponsive: noteEnd,
    onFailure: (error) => {
      changed();
      onFailure?.(error);
    },
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
    get worker() {
      return link.worker;
    },
    onChange(listener) {
      changed = listener;
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
