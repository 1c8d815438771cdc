/**
 * Each tab of the page, and each embedded frame, holds a Web Lock named after the model that it has loaded or is loading,
 * because the browser releases the locks of a tab that is closed or crashes. The name is a prefix, the model's id, a
 * slash, and the owner's id.
 */
import type { Bytes } from './ids.ts';

export const LOADED_LOCK_PREFIX = 'mixtab-loaded/';
/** The channel on which a owner says that its lock has changed. */
export const TABS_CHANNEL = 'mixtab-tabs';
/** Two models from this size on may be too much for a machine: the user is asked before a second one is loaded. */
export const LARGE_MODEL_BYTES: Bytes = 1e9;

/** A lock of another tab or frame. */
export interface OtherLock {
  name: string;
  modelId: string;
}

/** The lock of this tab or frame, and those of the others. Over http there are no locks. */
export class LoadedLock {
  readonly #owner: string;
  #release = (): void => {};

  /** @param owner an id that no other tab or frame has */
  constructor(owner: string) {
    this.#owner = owner;
  }

  /** Releases the lock of the previous model and takes that of `modelId`. Resolves when it is held. */
  async hold(modelId: string | undefined): Promise<void> {
    this.#release();
    const released = new Promise<void>((resolve) => {
      this.#release = resolve;
    });
    if (modelId === undefined || !navigator.locks) return;
    await new Promise<void>((granted) => {
      void navigator.locks.request(`${LOADED_LOCK_PREFIX}${modelId}/${this.#owner}`, () => {
        granted();
        return released; // perhaps already, if another model was chosen before the browser granted this lock
      });
    });
  }

  /** The locks that others hold now. */
  async others(): Promise<OtherLock[]> {
    const { held = [] } = (await navigator.locks?.query()) ?? {};
    return held.flatMap(({ name = '' }) => {
      const [modelId, owner] = name.startsWith(LOADED_LOCK_PREFIX)
        ? name.slice(LOADED_LOCK_PREFIX.length).split('/')
        : [];
      return !modelId || owner === this.#owner ? [] : [{ name, modelId }];
    });
  }

  /** Resolves once no one else holds a lock. @param signal ends the wait; the promise then rejects */
  async othersReleased(signal: AbortSignal): Promise<void> {
    for (let others = await this.others(); others.length > 0; others = await this.others())
      await Promise.all(others.map(({ name }) => released(name, signal)));
  }
}

/** Resolves once a lock is free. A tab that is closed or crashes sends no message, so this queues for its lock. */
export async function released(lock: string, signal?: AbortSignal): Promise<void> {
  await navigator.locks.request(lock, { mode: 'shared', ...(signal && { signal }) }, () => {});
}
