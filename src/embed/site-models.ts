/**
 * Reads the models that the user has on this site's own page. A frame uses this once the browser has given it the
 * site's database and private files.
 */
import {
  MODEL_DATABASE,
  MODEL_PREFIX,
  PART_BYTES,
  RECORD_FOLDER,
  RECORD_PREFIX,
  type SiteStore,
} from '../contract/site-store.ts';

/** What this file needs of a manifest. */
interface Manifest {
  records: { bytes: number; place?: string; parts: number }[];
}

/**
 * @param getDirectory opens the site's private files; undefined if the browser shares the database only, so models in
 *   files are not listed
 * @returns undefined if the site has no model database
 */
export async function openSiteModels(
  databases: IDBFactory,
  getDirectory?: () => Promise<FileSystemDirectoryHandle>,
): Promise<SiteStore | undefined> {
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
        settled(objectStore.getAll(range) as IDBRequest<Manifest[]>),
      ]);
      return keys
        .map((key, i): [string, Manifest] => [String(key), manifests[i]])
        .filter(([, manifest]) => getDirectory || !manifest.records.some(isFile))
        .map(([key, manifest]) => [key, { ...manifest, records: manifest.records.map(asInDatabase) }]);
    },
    async getMany(keys) {
      const objectStore = store();
      const values = await Promise.all(keys.map((key) => settled<unknown>(objectStore.get(key))));
      return Promise.all(values.map((value, i) => value ?? (getDirectory && partOfFile(getDirectory, keys[i]))));
    },
  };
}

const isFile = ({ place }: Manifest['records'][number]): boolean => place === 'opfs';

/** Describes a record that is a file as the parts that it would have in the database. */
function asInDatabase(record: Manifest['records'][number]): Manifest['records'][number] {
  if (!isFile(record)) return record;
  const parts = { ...record, parts: Math.ceil(record.bytes / PART_BYTES) };
  delete parts.place;
  return parts;
}

/**
 * Finds a part of a record in a file.
 * @param key `record/<model id>/<record key>/<part>`
 * @returns undefined if there is no such file
 */
async function partOfFile(
  getDirectory: () => Promise<FileSystemDirectoryHandle>,
  key: string,
): Promise<Blob | undefined> {
  if (!key.startsWith(RECORD_PREFIX)) return undefined;
  const [, modelId, recordKey, part] = key.split('/');
  try {
    const folder = await (await getDirectory()).getDirectoryHandle(RECORD_FOLDER);
    const directory = await folder.getDirectoryHandle(modelId);
    const file = await (await directory.getFileHandle(recordKey)).getFile();
    return file.slice(Number(part) * PART_BYTES, (Number(part) + 1) * PART_BYTES);
  } catch (error) {
    if (error instanceof DOMException && error.name === 'NotFoundError') return undefined;
    throw error;
  }
}

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
