/**
 * Notes which conversation the page is drawing, so that one that freezes the page is not opened again at the next start.
 */
import { signal } from '@preact/signals';
import { recall, remember } from './web-storage.ts';

const KEY = 'mixtab-drawing';
/** Once the page has been responsive for this long, in milliseconds, the conversation is drawn. */
const DRAWN_MS = 2000;
/** An older note is from a page that was frozen or ended. A younger one may be another tab's. */
const FROZEN_MS = 5000;

/** The conversation that was not opened at the start, because the page had not finished drawing it. */
export const notReopened = signal<string | undefined>(undefined);

let timer: ReturnType<typeof setTimeout> | undefined;
const clear = (): void => {
  clearTimeout(timer);
  remember('localStorage', KEY, '');
};

/** Call it before a conversation is drawn. */
export function noteDrawing(id: string | undefined): void {
  clearTimeout(timer);
  if (id === undefined) return;
  remember('localStorage', KEY, JSON.stringify({ id, at: Date.now() }));
  timer = setTimeout(clear, DRAWN_MS);
  globalThis.addEventListener?.('pagehide', clear, { once: true }); // a page that is frozen gets no events
}

/** Whether a page froze or ended while it drew this conversation. */
export function froze(id: string): boolean {
  try {
    const note = JSON.parse(recall('localStorage', KEY) || '{}') as { id?: unknown; at?: unknown };
    return note.id === id && typeof note.at === 'number' && Date.now() - note.at > FROZEN_MS;
  } catch {
    return false;
  }
}
