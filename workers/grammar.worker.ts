/**
 * Entry point of the grammar worker, which constrains answers to JSON schemas. The engine ends it if it fails or hangs.
 */
import { expose } from '../src/contract/rpc.ts';
import { announceWorker } from '../src/contract/worker-life.ts';
import { GrammarService } from './text/grammar-service.ts';

expose(new GrammarService(console));
announceWorker();
