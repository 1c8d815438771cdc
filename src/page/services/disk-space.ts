/** How much disk space the browser grants, and whether it keeps the data. */
import { type Disk, disk } from '../state/disk.ts';

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

/** Whether `bytes` more fit on the disk; undefined if that is unknown. */
export function fitsOnDisk(bytes: number, state: Disk | undefined): boolean | undefined {
  return state ? bytes <= state.quotaBytes - state.usedBytes : undefined;
}
