/** What the browser knows of the frame's store. */
import type { Bytes } from '../contract/ids.ts';
import { LOADED_LOCK_PREFIX } from '../contract/loaded-lock.ts';

/** Whether a tab of the page has a model loaded. It holds a lock with the model's id then. */
export async function isInUse(id: string): Promise<boolean> {
  const { held = [] } = (await navigator.locks?.query()) ?? {};
  return held.some(({ name }) => name?.startsWith(`${LOADED_LOCK_PREFIX}${id}/`));
}

/** @returns the space that the browser still grants; undefined if it does not say */
export async function freeBytes(): Promise<Bytes | undefined> {
  try {
    const { usage, quota } = await navigator.storage.estimate();
    return usage !== undefined && quota !== undefined ? quota - usage : undefined;
  } catch {
    return undefined;
  }
}
