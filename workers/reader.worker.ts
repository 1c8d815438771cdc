/** Entry point of the reader worker: it reads records for the engine worker, so that reading never blocks computing. */

import { fetchCode } from '../src/contract/fetch-code.ts';
import type { Bytes } from '../src/contract/ids.ts';
import { expose } from '../src/contract/rpc.ts';
import { announceWorker } from '../src/contract/worker-life.ts';
import { BufferPool } from './store/buffer-pool.ts';
import { IndexedDbStore } from './store/indexed-db-store.ts';
import { OpfsFiles } from './store/opfs-files.ts';
import { ReadProgress } from './store/read-progress.ts';
import { ReaderService } from './store/reader-service.ts';
import { SiteStoreReceiver } from './store/site-store-receiver.ts';

/** Enough for the records that are being read and those being uploaded: four of Mixtral 8x7B's in Q4_K. */
const BUFFER_BYTES: Bytes = 400e6;

const siteStores = new SiteStoreReceiver();
const buffers = new BufferPool(BUFFER_BYTES);
const progress = new ReadProgress();
const store = new IndexedDbStore(undefined, new OpfsFiles(), buffers, progress.note);
siteStores.onAttach((siteStore) => store.attachSiteStore(siteStore));

expose(
  new ReaderService({
    store,
    buffers,
    progress,
    post: (message, transfer) => postMessage(message, { transfer }),
    repair: async (modelId, record, failure) => {
      // The code that reads GGUF files is loaded only when a record has to be repaired.
      const [{ repairRecord }, { openUrl }, { makingRoom }, { SessionStore }] = await fetchCode('repairs models', () =>
        Promise.all([
          import('./import/self-repair.ts'),
          import('./import/model-source.ts'),
          import('./store/making-room.ts'),
          import('./store/session-store.ts'),
        ]),
      );
      const roomy = makingRoom(store, () => new SessionStore().removeAll());
      return repairRecord({ store: roomy, open: openUrl }, modelId, record, failure);
    },
  }),
);
announceWorker();
