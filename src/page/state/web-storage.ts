/** What a tab or the device remembers by name. Where the browser forbids it (cookies blocked), even to name the storage throws: then nothing is remembered. */
type Place = 'sessionStorage' | 'localStorage';

export function remember(place: Place, key: string, value: string): void {
  try {
    globalThis[place].setItem(key, value);
  } catch {
    // Forgotten with the page.
  }
}

export function recall(place: Place, key: string): string | undefined {
  try {
    return globalThis[place].getItem(key) ?? undefined;
  } catch {
    return undefined;
  }
}
