/** The backend that runs the engine in workers of this page. */
import { connectForHandOver, createEngineClient, createImportClient } from '../connect/worker-clients.ts';
import { expose, proxy, transfer } from '../contract/rpc.ts';
import type { RemoteSiteStore, SiteStore } from '../contract/site-store.ts';
import type { Backend } from './backend.ts';

/** `attachSiteStore` lets the workers read models that only the window can access. */
export function workerBackend(): Backend & { attachSiteStore(siteStore: SiteStore): void } {
  const engine = createEngineClient();
  const importer = createImportClient();
  connectForHandOver(importer, engine);
  return {
    engine: engine.api as unknown as Backend['engine'],
    importer: importer.api as unknown as Backend['importer'],
    callback: proxy,
    restartEngine: engine.restart,
    attachSiteStore(siteStore) {
      const open = (): MessagePort => portTo(siteStore);
      importer.attachSiteStore(open);
      engine.attachSiteStore(open);
    },
    close() {
      engine.terminate();
      importer.terminate();
    },
  };
}

/** A port to the site's own store, through which a worker can open others. */
function portTo(siteStore: SiteStore): MessagePort {
  const { port1, port2 } = new MessageChannel();
  const remote: RemoteSiteStore = {
    models: () => siteStore.models(),
    getMany: (keys) => siteStore.getMany(keys),
    async open() {
      const port = portTo(siteStore);
      return transfer(port, [port]);
    },
  };
  expose(remote, port1);
  return port2;
}
