/** Entry point of the engine worker. */
import { expose } from '../src/contract/rpc.ts';
import { lazyEngine } from './lazy-engine.ts';
import { whenLent } from './lent-models.ts';

expose(
  lazyEngine(async () => {
    const [{ Engine }, { createReaderWorker }, { IndexedDbStore }, { OpfsFiles }] = await Promise.all([
      import('./engine.ts'),
      import('./record-reader.ts'),
      import('./storage/indexed-db-store.ts'),
      import('./storage/opfs-files.ts'),
    ]);
    const store = new IndexedDbStore(undefined, new OpfsFiles());
    const reader = createReaderWorker();
    whenLent((lent, [port]) => {
      store.lend(lent);
      reader.lend(port);
    });
    return new Engine(store, reader);
  }),
);
