/** The record store in the browser's IndexedDB, through idb-keyval. */
import { createStore, promisifyRequest, type UseStore } from 'idb-keyval';
import { MixtabError } from '../../src/contract/errors.ts';
import { formatBytes } from '../../src/contract/format-bytes.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import { MODEL_DATABASE, type SiteStore } from '../../src/contract/site-store.ts';
import type { BufferPool } from './buffer-pool.ts';
import { LayeredValues } from './layered-values.ts';
import { KeyValueStore, type KeyValues, type RecordFiles } from './store.ts';

export class IndexedDbStore extends KeyValueStore {
  /**
   * @param database another name keeps tests apart from the user's models
   * @param files where records of place `opfs` lie
   * @param buffers what records are read into
   */
  constructor(
    database: string = MODEL_DATABASE.name,
    files?: RecordFiles,
    buffers?: BufferPool,
    private readonly layers = new LayeredValues(new IndexedDbValues(database)),
  ) {
    super(layers, files, buffers);
  }

  /** Lets this store read the models of the site itself too. */
  attachSiteStore(siteStore: SiteStore): void {
    this.layers.attachSiteStore(siteStore);
  }
}

/** Chats and settings have databases of their own: idb-keyval keeps one object store in each. */
class IndexedDbValues implements KeyValues {
  #store: UseStore | undefined;

  constructor(private readonly database: string) {}

  keys(prefix: string): Promise<string[]> {
    return this.#run(
      'readonly',
      async (store) => (await promisifyRequest(store.getAllKeys(range(prefix)))) as string[],
    );
  }

  getAll(prefix: string): Promise<unknown[]> {
    return this.#run('readonly', (store) => promisifyRequest<unknown[]>(store.getAll(range(prefix))));
  }

  get(key: string): Promise<unknown> {
    return this.#run('readonly', (store) => promisifyRequest<unknown>(store.get(key)));
  }

  getMany(keys: string[]): Promise<unknown[]> {
    return this.#run('readonly', (store) => Promise.all(keys.map((key) => promisifyRequest<unknown>(store.get(key)))));
  }

  write(changes: Parameters<KeyValues['write']>[0], bytes: Bytes = 0): Promise<void> {
    return this.#run(
      'readwrite',
      (store) => {
        for (const key of changes.delete ?? []) store.delete(key);
        for (const prefix of changes.deletePrefix ?? []) store.delete(range(prefix));
        for (const [key, value] of changes.set ?? []) store.put(value, key);
        return promisifyRequest(store.transaction);
      },
      bytes,
    );
  }

  async #run<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => Promise<T>, bytes: Bytes = 0): Promise<T> {
    try {
      this.#store ??= createStore(this.database, MODEL_DATABASE.objectStore);
      // The browser closes the connection where it clears the page's storage: the next one finds out what is left.
      return await this.#store(mode, work).catch((error: unknown) => {
        if (error instanceof DOMException && error.name === 'InvalidStateError') return this.#store!(mode, work);
        throw error;
      });
    } catch (error) {
      throw await storageError(error, bytes);
    }
  }
}

/** Every key that begins with `prefix`: U+FFFF sorts after all characters that keys are made of. */
export const range = (prefix: string): IDBKeyRange => IDBKeyRange.bound(prefix, `${prefix}\uffff`);

/** Turns what IndexedDB throws into what a user can act on. */
export async function storageError(error: unknown, bytes: Bytes): Promise<MixtabError> {
  if (error instanceof MixtabError) return error;
  const name = error instanceof Error || error instanceof DOMException ? error.name : '';
  if (name === 'QuotaExceededError') return storageFull(bytes, await estimateFreeBytes());
  return new MixtabError(
    'storage-unavailable',
    `The browser's database cannot be used (${error instanceof Error ? `${name}: ${error.message}` : String(error)}).`,
    'Leave private browsing and allow this page to store data.',
  );
}

/** @param freeBytes as far as the browser tells */
export function storageFull(neededBytes: Bytes, freeBytes: Bytes | undefined): MixtabError {
  const free = freeBytes === undefined ? '' : `, and the browser reports ${formatBytes(freeBytes)} free for this page`;
  return new MixtabError(
    'storage-full',
    `The browser's storage is full: ${formatBytes(neededBytes)} more were needed${free}.`,
    'Remove a model, free disk space or choose a smaller model.',
  );
}

/** What the browser says this page may still store; undefined where it does not tell. */
export async function estimateFreeBytes(): Promise<Bytes | undefined> {
  try {
    const { quota, usage } = await navigator.storage.estimate();
    return quota === undefined ? undefined : Math.max(0, quota - (usage ?? 0));
  } catch {
    return undefined;
  }
}

/** Chromium never tells more free space than about this, so that pages cannot tell disks apart; 26 GB were stored all the same. */
const MAX_QUOTA_REPORT: Bytes = 9.5 * 2 ** 30;

/**
 * Whether an import of `bytes` will fit.
 * @param free as {@link estimateFreeBytes} tells
 */
export function judgeSpace(bytes: Bytes, free: Bytes | undefined): 'enough' | 'maybe' | 'refuse' {
  if (free === undefined || bytes <= free) return 'enough';
  // Told less than the most it ever tells, the browser means it.
  return free < MAX_QUOTA_REPORT ? 'refuse' : 'maybe';
}
