/** Entry point of the import worker. */
import { handOverEnd } from '../src/contract/hand-over.ts';
import { expose } from '../src/contract/rpc.ts';
import { announceWorker, duringDiskCall } from '../src/contract/worker-life.ts';
import { ImportService } from './import/import-service.ts';
import { HandOverSender } from './store/hand-over.ts';
import { IndexedDbStore } from './store/indexed-db-store.ts';
import { OpfsFiles } from './store/opfs-files.ts';
import { ReadProgress } from './store/read-progress.ts';
import { SiteStoreReceiver } from './store/site-store-receiver.ts';

const siteStores = new SiteStoreReceiver();
const readProgress = new ReadProgress();
const store = new IndexedDbStore(undefined, new OpfsFiles(undefined, duringDiskCall), undefined, readProgress.note);
siteStores.onAttach((siteStore) => store.attachSiteStore(siteStore));
expose(new ImportService(store, { handOvers: new HandOverSender(handOverEnd()), readProgress }));
announceWorker();
