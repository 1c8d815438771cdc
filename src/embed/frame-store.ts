/** What the browser knows of the frame's store. */
import type { Bytes } from '../contract/ids.ts';

/** @returns the space that the browser still grants; undefined if it does not say */
export async function freeBytes(): Promise<Bytes | undefined> {
  try {
    const { usage, quota } = await navigator.storage.estimate();
    return usage !== undefined && quota !== undefined ? quota - usage : undefined;
  } catch {
    return undefined;
  }
}
