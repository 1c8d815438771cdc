/**
 * Values in sessionStorage (this tab) or localStorage (this device). If the browser blocks storage, even reading the
 * property `localStorage` throws; then nothing is remembered.
 */
type WebStorageName = 'sessionStorage' | 'localStorage';

/**
 * Stores a value, if the browser allows it.
 * @returns false if storage is blocked or full: the value lasts as long as the page
 */
export function remember(area: WebStorageName, key: string, value: string): boolean {
  try {
    globalThis[area].setItem(key, value);
    return true;
  } catch {
    return false;
  }
}

/** Reads a stored value; undefined if there is none, or if storage is blocked. */
export function recall(area: WebStorageName, key: string): string | undefined {
  try {
    return globalThis[area].getItem(key) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Removes a stored value. */
export function removeValue(area: WebStorageName, key: string): void {
  try {
    globalThis[area].removeItem(key);
  } catch {
    // Storage is blocked, so there is no such value.
  }
}

/** The keys that begin with `prefix`; none if storage is blocked. */
export function keysWithPrefix(area: WebStorageName, prefix: string): string[] {
  try {
    const storage = globalThis[area];
    const keys = Array.from({ length: storage.length }, (_, i) => storage.key(i) ?? '');
    return keys.filter((key) => key.startsWith(prefix));
  } catch {
    return [];
  }
}
