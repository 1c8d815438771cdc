/** Copies of conversations, read past the page's own code. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright';

/** @returns the titles of the conversations of which there are copies in localStorage, and nothing of the database */
export function copiedChats(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const copies = Object.entries(localStorage).filter(([key]) => key.startsWith('mixtab-copy/'));
    return copies.map(([, value]) => JSON.parse((value as string).replace(/^\d+ \S+ /, '')).title as string);
  });
}

/**
 * Whether Chromium has written the copy of a conversation to the disk, which it does some seconds to a minute after the
 * page. Only the newest file is read, in which nothing is compressed.
 */
export function isCopyOnDisk(profile: string, title: string): boolean {
  const folder = join(profile, 'Default', 'Local Storage', 'leveldb');
  if (!existsSync(folder)) return false;
  const logs = readdirSync(folder).filter((name) => name.endsWith('.log'));
  return logs.some((name) => readFileSync(join(folder, name), 'latin1').includes(`"title":"${title}`));
}
