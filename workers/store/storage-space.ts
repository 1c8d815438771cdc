/** How much space the browser has left for this page. */
import type { Bytes } from '../../src/contract/ids.ts';

/** What the browser says this page may still store; undefined if it does not say. */
export async function estimateFreeBytes(): Promise<Bytes | undefined> {
  try {
    const { quota, usage } = await navigator.storage.estimate();
    return quota === undefined ? undefined : Math.max(0, quota - (usage ?? 0));
  } catch {
    return undefined;
  }
}

/**
 * Chromium caps the quota that it reports at about 10 GiB, so that pages cannot tell disks apart. It stores more: an
 * import of 26 GB succeeded.
 */
const MAX_QUOTA_REPORT: Bytes = 9.5 * 2 ** 30;

/**
 * Judges whether an import of `bytes` will fit.
 * @param free see {@link estimateFreeBytes}
 * @returns `maybe` if `free` is too little but may be the browser's cap rather than the truth
 */
export function judgeSpace(bytes: Bytes, free: Bytes | undefined): 'enough' | 'maybe' | 'refuse' {
  if (free === undefined || bytes <= free) return 'enough';
  return free < MAX_QUOTA_REPORT ? 'refuse' : 'maybe';
}
