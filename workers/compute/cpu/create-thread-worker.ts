/** Starts the worker of a compute thread. */
import type { ThreadWorker } from './thread-pool.ts';

export const createThreadWorker = (): ThreadWorker =>
  new Worker(new URL('../../compute.worker.ts', import.meta.url), { type: 'module', name: 'compute' });
