/** Entry point of the engine worker. */
import { expose } from '../src/contract/rpc.ts';
import { Engine } from './engine.ts';
import { createReaderWorker } from './record-reader.ts';
import { IndexedDbStore } from './storage/indexed-db-store.ts';
import { OpfsFiles } from './storage/opfs-files.ts';

expose(new Engine(new IndexedDbStore(undefined, new OpfsFiles()), createReaderWorker()));
