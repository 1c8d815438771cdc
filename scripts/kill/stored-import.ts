/** What the browser's storage holds of a model, read past the page's own code. */
import type { Page } from 'playwright';

/** A model in the store, or the part of it that an interrupted import has left. */
export interface StoredImport {
  id: string;
  /** It has a manifest, so the page lists it. */
  complete: boolean;
  /** Key and SHA-256 of the records that are said to be stored. */
  records: [key: string, sha256: string][];
  /** Keys of those whose bytes are missing or differ from their hash. */
  bad: string[];
}

/**
 * Reads a model and hashes its records. The page has to be open, because it creates the database.
 * @returns undefined if there is nothing of that name
 */
export function storedImport(page: Page, name: string): Promise<StoredImport | undefined> {
  return page.evaluate(readImport, name);
}

/** Runs in the page. */
async function readImport(name: string): Promise<StoredImport | undefined> {
  interface Entry {
    id: string;
    name: string;
    records: { key: string; sha256: string; place?: 'opfs' }[];
  }
  const wait = <T>(request: IDBRequest<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  const database = await wait(indexedDB.open('mixtab-models'));
  const all = (prefix: string): Promise<unknown[]> =>
    wait(
      database
        .transaction('models')
        .objectStore('models')
        .getAll(IDBKeyRange.bound(prefix, `${prefix}\uffff`)),
    );
  const blobOf = async (id: string, { key, place }: Entry['records'][number]): Promise<Blob> => {
    if (place !== 'opfs') return new Blob((await all(`record/${id}/${key}/`)) as Blob[]);
    const root = await navigator.storage.getDirectory();
    const folder = await (await root.getDirectoryHandle('mixtab-records')).getDirectoryHandle(id);
    return (await folder.getFileHandle(key)).getFile();
  };
  const isGood = async (id: string, record: Entry['records'][number]): Promise<boolean> => {
    try {
      const bytes = await (await blobOf(id, record)).arrayBuffer();
      const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
      return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('') === record.sha256;
    } catch {
      return false;
    }
  };
  try {
    const find = (entries: unknown[]): Entry | undefined => (entries as Entry[]).find((entry) => entry.name === name);
    const manifest = find(await all('model/'));
    const entry = manifest ?? find(await all('import/'));
    if (!entry) return undefined;
    const bad: string[] = [];
    for (const record of entry.records) if (!(await isGood(entry.id, record))) bad.push(record.key);
    return {
      id: entry.id,
      complete: manifest !== undefined,
      records: entry.records.map(({ key, sha256 }) => [key, sha256]),
      bad,
    };
  } finally {
    database.close();
  }
}
