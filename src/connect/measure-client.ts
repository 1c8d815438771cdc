/** Starts the worker that measures the GPU. Apart from the other workers, because it is needed on one page only. */
import type { MeasureApi } from '../contract/measure-api.ts';
import { WorkerLink } from '../contract/worker-link.ts';

/** A worker that measures the GPU. `close` ends it and what it measures. */
export function createMeasureClient(): WorkerLink<MeasureApi> {
  return new WorkerLink<MeasureApi>({
    start: () =>
      new Worker(new URL('../../workers/measure.worker.ts', import.meta.url), { type: 'module', name: 'measure' }),
    task: 'measures the GPU',
    died: { code: 'worker-failed', remedy: 'Unload the model and close other tabs that use the GPU, then try again.' },
  });
}
