/**
 * Notes which conversation the page is drawing, so that one that freezes the page is not opened again at the next start.
 */
import { signal } from '@preact/signals';
import { recall, remember } from './web-storage.ts';

const KEY = 'mixtab-drawing';
/** Once the page has been responsive for this long, in milliseconds, and nothing waits, the conversation is drawn. */
const DRAWN_MS = 2000;
/** An older note is from a page that was frozen or ended. A younger one may be another tab's. */
const FROZEN_MS = 5000;
/** How often a page that is drawing repeats its note, in milliseconds. */
const REPEAT_MS = 1000;

/** The conversation that was not opened at the start, because the page had not finished drawing it. */
export const notReopened = signal<string | undefined>(undefined);

/** The conversation that is noted, and since when. */
let noted: { id: string; at: number } | undefined;
/** Parts of it wait to be drawn. */
let partsWait = false;
let timer: ReturnType<typeof setTimeout> | undefined;
let responsive = false;

function clear(): void {
  clearTimeout(timer);
  noted = undefined;
  remember('localStorage', KEY, '');
}

function note(id: string): void {
  noted = { id, at: Date.now() };
  remember('localStorage', KEY, JSON.stringify(noted));
}

/** Call it before a conversation is drawn. */
export function noteDrawing(id: string | undefined): void {
  if (noted) clear();
  partsWait = responsive = false;
  if (id === undefined) return;
  note(id);
  timer = setTimeout(() => {
    responsive = true;
    if (!partsWait) clear();
  }, DRAWN_MS);
  globalThis.addEventListener?.('pagehide', clear, { once: true }); // a page that is frozen gets no events
}

/** Call it before each step in which parts of the conversation are drawn. */
export function noteStep(): void {
  partsWait = true;
  if (noted && Date.now() - noted.at >= REPEAT_MS) note(noted.id);
}

/** Call it when no part waits any more. */
export function noteDrawn(): void {
  partsWait = false;
  if (noted && responsive) clear();
}

/** Whether a page froze or ended while it drew this conversation. */
export function froze(id: string): boolean {
  try {
    const found = JSON.parse(recall('localStorage', KEY) || '{}') as { id?: unknown; at?: unknown };
    return found.id === id && typeof found.at === 'number' && Date.now() - found.at > FROZEN_MS;
  } catch {
    return false;
  }
}
