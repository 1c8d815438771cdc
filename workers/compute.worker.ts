/** Entry point of the workers that compute the CPU backend's threads other than the engine worker's own. */
import { announceWorker } from '../src/contract/worker-life.ts';
import { serveThread } from './compute/cpu/serve-thread.ts';

serveThread(globalThis as unknown as DedicatedWorkerGlobalScope);
announceWorker();
