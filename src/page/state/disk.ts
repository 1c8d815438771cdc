/** Use of the disk, as signals. Changed by the services `disk-space.ts` and `sessions.ts`. */
import { signal } from '@preact/signals';
import type { StoredSession } from '../../contract/import-api.ts';

/** The disk space of this page, as the browser reports it. */
export interface Disk {
  usedBytes: number;
  /** What the browser allows this page. Some browsers report less than they later grant. */
  quotaBytes: number;
  /** The browser has promised not to clear the data when it needs space. */
  persisted: boolean;
}

/**
 * Whether this browser deletes the data of pages that were not visited for seven days: WebKit, hence Safari and every
 * browser on iOS. It keeps the data of installed pages.
 */
export const deletesUnvisited = (): boolean =>
  navigator.vendor.startsWith('Apple') && !matchMedia('(display-mode: standalone)').matches;

/** undefined until the browser was asked, and if it does not say. */
export const disk = signal<Disk | undefined>(undefined);
/** KV caches of conversations on the disk, oldest first (services/sessions.ts). */
export const storedSessions = signal<StoredSession[]>([]);
