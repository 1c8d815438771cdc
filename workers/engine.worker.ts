/** Entry point of the engine worker. */
import { expose } from '../src/contract/rpc.ts';
import { lazyEngine } from './lazy-engine.ts';

expose(
  lazyEngine(async () => {
    const [{ Engine }, { createReaderWorker }, { IndexedDbStore }, { OpfsFiles }] = await Promise.all([
      import('./engine.ts'), import('./record-reader.ts'), import('./storage/indexed-db-store.ts'), import('./storage/opfs-files.ts'),
    ]);
    return new Engine(new IndexedDbStore(undefined, new OpfsFiles()), createReaderWorker());
  }),
);
