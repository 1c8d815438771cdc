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
    const { Engine, HandOverReceiver, IndexedDbStore, OpfsFiles, createReaderWorker, prefetchCpu } = await import(
      './engine/engine-code.ts'
    );
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
