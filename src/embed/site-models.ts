/**
 * Reads the models that the user has on this site's own page. A frame uses this once the browser has given it the
 * site's database.
 */
import { MODEL_DATABASE, MODEL_PREFIX, type SiteStore } from '../contract/site-store.ts';

/** @returns undefined if the site has no model database */
export async function openSiteModels(databases: IDBFactory): Promise<SiteStore | undefined> {
  const database = await open(databases);
  if (!database?.objectStoreNames.contains(MODEL_DATABASE.objectStore)) return undefined;
  const store = (): IDBObjectStore =>
    database.transaction(MODEL_DATABASE.objectStore).objectStore(MODEL_DATABASE.objectStore);
  return {
    async models() {
      const range = IDBKeyRange.bound(MODEL_PREFIX, `${MODEL_PREFIX}\uffff`);
      const objectStore = store();
      const [keys, manifests] = await Promise.all([
        settled(objectStore.getAllKeys(range)),
        settled(objectStore.getAll(range)),
      ]);
      return keys
        .map((key, i): [string, unknown] => [String(key), manifests[i]])
        .filter(([, manifest]) => !isInFiles(manifest));
    },
    getMany(keys) {
      const objectStore = store();
      return Promise.all(keys.map((key) => settled(objectStore.get(key))));
    },
  };
}

const isInFiles = (manifest: unknown): boolean =>
  (manifest as { records: { place?: string }[] }).records.some(({ place }) => place === 'opfs');

/**
 * Opens the database if it exists. Only the site's own page creates it, so an upgrade, which would do so, is aborted.
 */
function open(databases: IDBFactory): Promise<IDBDatabase | undefined> {
  return new Promise((resolve, reject) => {
    const request = databases.open(MODEL_DATABASE.name);
    let created = false;
    request.onupgradeneeded = () => {
      created = true;
      request.transaction?.abort();
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => (created ? resolve(undefined) : reject(request.error));
  });
}

const settled = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
