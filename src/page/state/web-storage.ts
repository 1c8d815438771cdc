/** What a tab or the device remembers by name. Where the browser forbids it (cookies blocked), even to name the storage throws: then nothing is remembered. */
type WebStorageName = 'sessionStorage' | 'localStorage';

export function remember(area: WebStorageName, key: string, value: string): void {
  try {
    globalThis[area].setItem(key, value);
  } catch {
    // Forgotten with the page.
  }
}

export function recall(area: WebStorageName, key: string): string | undefined {
  try {
    return globalThis[area].getItem(key) ?? undefined;
  } catch {
    return undefined;
  }
}
