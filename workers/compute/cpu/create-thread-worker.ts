/** Starts the worker of a compute thread. */
import { startNestedWorker, watchWorker } from '../../../src/contract/worker-life.ts';
import type { ThreadWorker } from './thread-pool.ts';

/** @returns a worker that gets an `error` event also if the browser ends it without one */
export function createThreadWorker(): ThreadWorker {
  const worker = startNestedWorker(
    () => new Worker(new URL('../../compute.worker.ts', import.meta.url), { type: 'module', name: 'compute' }),
  );
  const endWatch = watchWorker(worker, (how) => {
    const message = how === 'died' ? 'the browser has ended it' : 'its script could not be loaded';
    worker.dispatchEvent(new ErrorEvent('error', { message }));
  });
  worker.terminate = () => {
    endWatch();
    Worker.prototype.terminate.call(worker);
  };
  return worker;
}
