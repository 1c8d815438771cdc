/** How much disk space the browser grants, and whether it keeps the data. */
import { type Disk, disk } from '../state/disk.ts';
import { recall, remember } from '../state/web-storage.ts';

/** The browser was asked to keep the data. */
const ASKED_KEY = 'mixtab-asked-to-persist';

/** Asks the browser, and sets `disk`. */
export async function refreshDisk(): Promise<void> {
  try {
    const [{ usage, quota }, persisted] = await Promise.all([
      navigator.storage.estimate(),
      navigator.storage.persisted(),
    ]);
    disk.value =
      usage !== undefined && quota !== undefined ? { usedBytes: usage, quotaBytes: quota, persisted } : undefined;
  } catch {
    disk.value = undefined; // an old browser, or a private window
  }
}

/**
 * Asks the browser to keep the page's data. Firefox asks the user; other browsers decide by themselves. Workers cannot
 * ask.
 */
export async function askToPersist(): Promise<void> {
  try {
    if (!(await navigator.storage.persisted())) await navigator.storage.persist();
  } catch {
    // The browser cannot be asked, and decides by itself when to clear data.
  }
  await refreshDisk();
}

/** Asks the browser once, ever: one that asks the user would ask again after every conversation. */
export async function askOnceToPersist(): Promise<void> {
  if (recall('localStorage', ASKED_KEY)) return;
  remember('localStorage', ASKED_KEY, 'yes');
  await askToPersist();
}

/** Whether `bytes` more fit on the disk; undefined if that is unknown. */
export function fitsOnDisk(bytes: number, state: Disk | undefined): boolean | undefined {
  return state ? bytes <= state.quotaBytes - state.usedBytes : undefined;
}
