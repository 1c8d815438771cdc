/** Changes what is remembered about an adapter while no other tab does. */
import type { AdapterMemory } from '../../store/adapter-memory.ts';

/** A tab that holds the lock for longer stands still. */
const LOCK_MS = 2000;

/**
 * @param read the form of what was stored
 * @returns the changed fact; undefined if nothing was changed, because the browser has no locks or blocks them, or
 * another tab stands still while it changes this fact
 */
export async function changeAlone<T>(
  memory: AdapterMemory,
  name: string,
  read: (value: unknown) => T,
  change: (fact: T) => T | Promise<T>,
): Promise<T | undefined> {
  const locks = (globalThis.navigator as Navigator | undefined)?.locks;
  const apply = (): Promise<T> => memory.change(name, read, change);
  const signal = AbortSignal.timeout(LOCK_MS);
  return locks?.request(`mixtab-${name.replaceAll(' ', '-')}`, { signal }, apply).catch(() => undefined);
}

/**
 * {@link changeAlone} if that is possible. If other tabs cannot be kept from it, of two changes at the same time only one
 * is remembered.
 */
export const changeFact = async <T>(
  memory: AdapterMemory,
  name: string,
  read: (value: unknown) => T,
  change: (fact: T) => T | Promise<T>,
): Promise<T> => (await changeAlone(memory, name, read, change)) ?? memory.change(name, read, change);
