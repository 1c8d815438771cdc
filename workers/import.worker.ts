/** Entry point of the import worker. */
import { expose } from '../src/contract/rpc.ts';
import { ImportService } from './import-service.ts';
import { IndexedDbStore } from './storage/indexed-db-store.ts';
import { OpfsFiles } from './storage/opfs-files.ts';

expose(new ImportService(new IndexedDbStore(undefined, new OpfsFiles())));
