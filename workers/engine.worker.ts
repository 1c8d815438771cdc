/** Entry point of the engine worker. The engine's code is fetched when it is first needed. */
import { handOverEnd } from '../src/contract/hand-over.ts';
import { receivePageFacts } from '../src/contract/page-facts.ts';
import { expose } from '../src/contract/rpc.ts';
import { announceWorker } from '../src/contract/worker-life.ts';
import { lazyEngine } from './engine/lazy-engine.ts';
import { SiteStoreReceiver } from './store/site-store-receiver.ts';

const siteStores = new SiteStoreReceiver();
const handOver = handOverEnd();
receivePageFacts();

expose(
  lazyEngine(async (report) => {
    const [
      { Engine },
      { prefetchCpu },
      { createReaderWorker },
      { HandOverReceiver },
      { IndexedDbStore },
      { OpfsFiles },
    ] = await Promise.all([
      import('./engine/engine.ts'),
      import('./engine/compute-loader.ts'),
      import('./store/record-reader.ts'),
      import('./store/hand-over.ts'),
      import('./store/indexed-db-store.ts'),
      import('./store/opfs-files.ts'),
    ]);
    if (report?.automatic?.kind === 'cpu') prefetchCpu();
    const store = new IndexedDbStore(undefined, new OpfsFiles());
    const reader = createReaderWorker();
    siteStores.onAttach((siteStore) => {
      store.attachSiteStore(siteStore);
      reader.attachSiteStore(() => siteStore.open());
    });
    return new Engine(store, { reader, handOvers: new HandOverReceiver(handOver) });
  }),
);
announceWorker();
