/** What the browser's storage holds of conversations, read past the page's own code. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright';

/** The titles of conversations. */
export interface StoredChats {
  /** In the database. undefined if there is no such database; its error if it cannot be opened. */
  stored: string[] | string | undefined;
  /** In localStorage. */
  copied: string[];
}

/** @param page a page of the same origin; where the app runs, it may change what is stored meanwhile */
export function storedChats(page: Page): Promise<StoredChats> {
  return page.evaluate(readChats);
}

/** Runs in the page. */
async function readChats(): Promise<StoredChats> {
  const wait = <T>(request: IDBRequest<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  const titlesOf = (records: unknown[]): string[] =>
    (records as { title?: string }[]).flatMap(({ title }) => title ?? []);
  const copies = Object.entries(localStorage).filter(([key]) => key.startsWith('mixtab-copy/'));
  const copied = titlesOf(copies.map(([, value]) => JSON.parse((value as string).replace(/^\d+ \S+ /, ''))));
  const databases = await indexedDB.databases();
  if (!databases.some(({ name }) => name === 'mixtab-chats')) return { stored: undefined, copied };
  try {
    const database = await wait(indexedDB.open('mixtab-chats'));
    const records = await wait(database.transaction('conversations').objectStore('conversations').getAll());
    database.close();
    return { stored: titlesOf(records), copied };
  } catch (error) {
    return { stored: String(error), copied };
  }
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
