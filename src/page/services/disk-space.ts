/** How much of the disk the browser gives, and whether it will keep what is there. */
import { signal } from '@preact/signals';

export interface Disk {
  usedBytes: number;
  /** What the browser allows this page; some browsers first name less than they give. */
  quotaBytes: number;
  /** The browser has promised not to clear it to make room. */
  persisted: boolean;
}

/** undefined until asked, and where the browser does not say. */
export const disk = signal<Disk | undefined>(undefined);

export async function refreshDisk(): Promise<void> {
  try {
    const [{ usage, quota }, persisted] = await Promise.all([
      navigator.storage.estimate(),
      navigator.storage.persisted(),
    ]);
    disk.value =
      usage !== undefined && quota !== undefined ? { usedBytes: usage, quotaBytes: quota, persisted } : undefined;
  } catch {
    disk.value = undefined; // an old browser, or a private window: nothing to say
  }
}

/** Asks the browser to keep our data; it may ask the user (Firefox does), or decide by itself. Workers cannot ask. */
export async function askToPersist(): Promise<void> {
  try {
    if (!(await navigator.storage.persisted())) await navigator.storage.persist();
  } catch {
    // A browser without it keeps data as it likes.
  }
  await refreshDisk();
}

/** Whether so many bytes more find room; undefined where it is not known. */
export function fitsOnDisk(bytes: number, state: Disk | undefined): boolean | undefined {
  return state ? bytes <= state.quotaBytes - state.usedBytes : undefined;
}
