/**
 * A note that a model is being loaded, or has not answered yet. If the tab or the GPU process ends in the meantime, the
 * note stays, and the page does not load that model by itself at its next start: it would end the tab again.
 *
 * Each tab has a note of its own, and holds a Web Lock while it lives. A note whose lock is free belongs to a tab that
 * has ended.
 */
import { signal } from '@preact/signals';
import { errorToData } from '../../contract/errors.ts';
import { newId } from './new-id.ts';
import { keysWithPrefix, recall, remember, removeValue } from './web-storage.ts';

/** The key in localStorage, and the name of the lock, are this prefix and the tab's id. */
const PREFIX = 'mixtab-loading/';

/** The model that a tab was loading. */
export interface LoadMark {
  modelId: string;
  name: string;
  /** Megabytes that the model had, if they are known: on the GPU, or of main memory if the CPU computes. */
  megabytes?: number;
  /** The device was lost before the first answer: the note stays even if the tab is closed in an orderly way. */
  deviceLost?: true;
  /** The page did not load the model at its start, because of an earlier note: this one stays likewise. */
  heldBack?: true;
}

/** The model that the page does not load by itself, because of a note that was left. */
export const heldBack = signal<LoadMark | undefined>(undefined);

const key = `${PREFIX}${newId()}`;
let mark: LoadMark | undefined;

/** Sets, replaces or (undefined) removes this tab's note. */
export function markLoading(changed: LoadMark | undefined): void {
  mark = changed;
  write(mark);
}

/** Notes that the device was lost, or what else is now known. Without effect if there is no note. */
export function updateMark(changes: Partial<LoadMark>): void {
  if (mark) markLoading({ ...mark, ...changes });
}

/** After an error of the model: an orderly end removes the note, a lost device keeps it. */
export function noteFailure(error: unknown): void {
  if (errorToData(error).code === 'webgpu-device-lost') updateMark({ deviceLost: true });
  else markLoading(undefined);
}

/** Holds this tab's lock, and removes its note when the tab is closed or hidden in an orderly way. */
export function watchTab(): void {
  void navigator.locks?.request(key, () => new Promise(() => {}));
  // A hidden tab may be ended by the system without notice, which is not the model's fault.
  addEventListener('pagehide', () => write(stays(mark) ? mark : undefined));
  document.addEventListener('visibilitychange', () => {
    write(document.visibilityState === 'visible' || stays(mark) ? mark : undefined);
  });
}

/** Whether the note outlasts an orderly end of the tab. */
const stays = (note: LoadMark | undefined): boolean => note?.deviceLost === true || note?.heldBack === true;

/** Removes the notes of tabs that have ended, and returns them. */
export async function takeLeftMarks(): Promise<LoadMark[]> {
  if (!navigator.locks) return []; // http: it cannot be known whether the other tab still lives
  const { held = [] } = await navigator.locks.query();
  const alive = new Set(held.map(({ name }) => name));
  const left: LoadMark[] = [];
  try {
    for (const name of keysWithPrefix('localStorage', PREFIX)) {
      if (name === key || alive.has(name)) continue;
      left.push(JSON.parse(recall('localStorage', name)!) as LoadMark);
      removeValue('localStorage', name);
    }
  } catch {
    // A damaged note stays.
  }
  return left;
}

function write(value: LoadMark | undefined): void {
  // If storage is blocked or full, the page may load the model once too often.
  if (value) remember('localStorage', key, JSON.stringify(value));
  else removeValue('localStorage', key);
}
