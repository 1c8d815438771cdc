/** The backend that runs the engine in workers of this page. */
import { createEngineClient, createImportClient } from '../connect/worker-clients.ts';
import { expose, proxy } from '../contract/rpc.ts';
import type { SiteStore } from '../contract/site-store.ts';
import type { Backend } from './backend.ts';

/** `attachSiteStore` lets the workers read models that only the window can access. */
export function workerBackend(): Backend & { attachSiteStore(siteStore: SiteStore): void } {
  const engine = createEngineClient();
  const importer = createImportClient();
  return {
    engine: engine.api as unknown as Backend['engine'],
    importer: importer.api as unknown as Backend['importer'],
    callback: proxy,
    restartEngine: engine.restart,
    attachSiteStore(siteStore) {
      const port = (): MessagePort => {
        const { port1, port2 } = new MessageChannel();
        expose(siteStore, port1);
        return port2;
      };
      importer.attachSiteStore(() => [port()]);
      engine.attachSiteStore(() => [port(), port()]); // one port for the engine, one for its reader worker
    },
    close() {
      engine.terminate();
      importer.terminate();
    },
  };
}
