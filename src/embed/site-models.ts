/** The models that the user has on this site's own page, read by a frame that was let at the site's database. */
import { MODEL_DATABASE, MODEL_PREFIX, type SiteStore } from '../contract/site-store.ts';

/** @returns undefined where the site has stored no model yet */
export async function openSiteModels(databases: IDBFactory): Promise<SiteStore | undefined> {
  const database = await open(databases);
  if (!database?.objectStoreNames.contains(MODEL_DATABASE.objectStore)) return undefined;
  const store = (): IDBObjectStore =>
    database.transaction(MODEL_DATABASE.objectStore).objectStore(MODEL_DATABASE.objectStore);
  return {
    async models() {
      const range = IDBKeyRange.bound(MODEL_PREFIX, `${MODEL_PREFIX}\uffff`);
      const from = store();
      const [keys, manifests] = await Promise.all([settled(from.getAllKeys(range)), settled(from.getAll(range))]);
      return keys
        .map((key, i): [string, unknown] => [String(key), manifests[i]])
        .filter(([, manifest]) => !liesInFiles(manifest));
    },
    getMany(keys) {
      const from = store();
      return Promise.all(keys.map((key) => settled(from.get(key))));
    },
  };
}

const liesInFiles = (manifest: unknown): boolean =>
  (manifest as { records: { place?: string }[] }).records.some(({ place }) => place === 'opfs');

/** Opens the database if it is there; it is the site's page that makes it. */
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
