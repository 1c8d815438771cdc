/**
 * How workers ended. Each one that leaves a note about what it tries or uses holds a lock, which the browser releases
 * when it ends. If its page has ended it, the page has noted that too. A worker that ended without such a note died.
 */
import { pageFacts } from '../../../src/contract/page-facts.ts';
import type { WorkerEnds } from '../../experts/worker-ends.ts';

const LIFE = 'mixtab-life/';

const held = new Set<string>();

/** Holds this worker's lock from now on, if it does not yet. @returns the worker's id */
export async function holdLife(): Promise<string> {
  const { workerId } = pageFacts();
  if (held.has(workerId) || !locks()) return workerId;
  held.add(workerId);
  await new Promise<void>((resolve) => {
    const request = locks()!.request(LIFE + workerId, {}, () => {
      resolve();
      return new Promise(() => {}); // until this worker ends
    });
    request.catch(() => resolve()); // the browser blocks locks together with storage
  });
  return workerId;
}

/** What is known now. This worker is alive. Without locks, no other one is known to be. */
export async function readWorkerEnds(): Promise<WorkerEnds> {
  const { closings, workerId } = pageFacts();
  const locksNow = await locks()
    ?.query()
    .catch(() => undefined); // the browser blocks locks together with storage
  const alive = new Set((locksNow?.held ?? []).map(({ name }) => name));
  return {
    isAlive: (worker) => worker === workerId || alive.has(LIFE + worker),
    closedAt: (worker) => closings[worker],
    closings: Object.values(closings),
  };
}

const locks = (): LockManager | undefined => (globalThis.navigator as Navigator | undefined)?.locks;
