/** Entry point of the engine worker. */
import { expose } from '../src/contract/rpc.ts';
import { Engine } from './engine.ts';
import { IndexedDbStore } from './storage/indexed-db-store.ts';

expose(new Engine(new IndexedDbStore()));
