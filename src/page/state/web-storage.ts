/**
 * Small values in sessionStorage (this tab) or localStorage (this device). If the browser blocks storage, even reading
 * the property `localStorage` throws; then nothing is remembered.
 */
type WebStorageName = 'sessionStorage' | 'localStorage';

/** Stores a value, if the browser allows it. */
export function remember(area: WebStorageName, key: string, value: string): void {
  try {
    globalThis[area].setItem(key, value);
  } catch {
    // Blocked, or full: the value lasts as long as the page.
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
