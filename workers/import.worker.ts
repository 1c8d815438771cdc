/** Entry point of the import worker. */
import { expose } from '../src/contract/rpc.ts';
import { ImportService } from './import-service.ts';
import { whenLent } from './lent-models.ts';
import { IndexedDbStore } from './storage/indexed-db-store.ts';
import { OpfsFiles } from './storage/opfs-files.ts';

const store = new IndexedDbStore(undefined, new OpfsFiles());
whenLent((lent) => store.lend(lent));
expose(new ImportService(store));
