/** The model store in the browser's IndexedDB, through idb-keyval. */
import { createStore, promisifyRequest, type UseStore } from 'idb-keyval';
import type { Bytes } from '../../src/contract/ids.ts';
import { MODEL_DATABASE, type SiteStore } from '../../src/contract/site-store.ts';
import { BlobValues, blobAgain } from './blob-values.ts';
import type { BufferPool } from './buffer-pool.ts';
import { KeyValueStore } from './key-value-store.ts';
import { LayeredValues } from './layered-values.ts';
import { storageError } from './storage-errors.ts';
import type { KeyValueChanges, KeyValues, RecordFiles } from './store.ts';
import { WatchedValues } from './watched-values.ts';

/** The model store of the browser: IndexedDB, and OPFS files if the user chose them at import. */
export class IndexedDbStore extends KeyValueStore {
  /**
   * @param database name of the database; tests use another one to leave the user's models alone
   * @param files holds the records of models imported into files
   * @param buffers memory that records are read into
   * @param onProgress see {@link KeyValueStore}
   */
  constructor(
    database: string = MODEL_DATABASE.name,
    files?: RecordFiles,
    buffers?: BufferPool,
    onProgress?: () => void,
    own = new IndexedDbValues(database),
    private readonly layers = new LayeredValues(own),
  ) {
    super(new WatchedValues(layers, () => own.reopen()), files, buffers, onProgress);
  }

  /** From now on this store also reads the models in the site's own store. */
  attachSiteStore(siteStore: SiteStore): void {
    this.layers.attachSiteStore(siteStore);
  }
}

/**
 * One database with one object store. Chats and settings have their own databases, since idb-keyval needs one for each.
 */
class IndexedDbValues implements KeyValues {
  #store: UseStore | undefined;
  /** Counts the connections that were given up. */
  #connection = 0;
  /** The transactions that read now. */
  readonly #reads = new Set<IDBTransaction>();
  readonly #blobs = new BlobValues();

  constructor(private readonly database: string) {}

  keys(prefix: string): Promise<string[]> {
    return this.#run(
      'readonly',
      async (store) => (await promisifyRequest(store.getAllKeys(prefixRange(prefix)))) as string[],
    );
  }

  getAll(prefix: string): Promise<unknown[]> {
    return this.#run('readonly', (store) => promisifyRequest<unknown[]>(store.getAll(prefixRange(prefix))));
  }

  async get(key: string): Promise<unknown> {
    return blobAgain(await this.#run('readonly', (store) => promisifyRequest<unknown>(store.get(key))));
  }

  async getMany(keys: string[]): Promise<unknown[]> {
    const values = await this.#run('readonly', (store) =>
      Promise.all(keys.map((key) => promisifyRequest<unknown>(store.get(key)))),
    );
    return values.map(blobAgain);
  }

  update(key: string, change: (value: unknown) => unknown): Promise<unknown> {
    return this.#run('readwrite', async (store) => {
      const value = await promisifyRequest<unknown>(store.get(key));
      const done = committed(store.transaction);
      const changed = value === undefined ? undefined : change(value);
      if (value !== undefined) store.put(changed, key);
      await done;
      return changed;
    });
  }

  write(changes: KeyValueChanges, bytes: Bytes = 0): Promise<void> {
    const entries = [...(changes.set ?? [])];
    return this.#blobs.write(
      entries.map(([, value]) => value),
      (values) =>
        this.#run(
          'readwrite',
          (store) => {
            for (const key of changes.delete ?? []) store.delete(key);
            for (const prefix of changes.deletePrefix ?? []) store.delete(prefixRange(prefix));
            for (const [i, [key]] of entries.entries()) store.put(values[i], key);
            return committed(store.transaction);
          },
          bytes,
        ),
    );
  }

  /** Gives up the connection and its reads. The next call opens another one. */
  reopen(): void {
    this.#connection++;
    this.#store = undefined;
    for (const transaction of this.#reads) abortTransaction(transaction);
  }

  async #run<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => Promise<T>, bytes: Bytes = 0): Promise<T> {
    const connection = this.#connection;
    try {
      return await this.#transact(mode, work).catch((error: unknown) => {
        const isGivenUp = mode === 'readonly' && connection !== this.#connection;
        if (isGivenUp || !isConnectionLost(error)) throw error;
        this.#store = undefined;
        return this.#transact(mode, work);
      });
    } catch (error) {
      throw await storageError(error, bytes);
    }
  }

  #transact<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => Promise<T>): Promise<T> {
    this.#store ??= createStore(this.database, MODEL_DATABASE.objectStore);
    return this.#store(mode, async (store) => {
      const { transaction } = store;
      if (mode === 'readonly') this.#reads.add(transaction);
      try {
        return await work(store);
      } finally {
        this.#reads.delete(transaction);
      }
    });
  }
}

/**
 * The browser closes the connection when it clears the page's storage, and WebKit does when it ends the process of the
 * database ("Connection to Indexed Database server lost"). A new connection shows what is left.
 */
const isConnectionLost = (error: unknown): boolean =>
  error instanceof DOMException && ['InvalidStateError', 'UnknownError', 'AbortError'].includes(error.name);

/** The range of all keys that begin with `prefix`: U+FFFF sorts after every character that occurs in keys. */
export const prefixRange = (prefix: string): IDBKeyRange => IDBKeyRange.bound(prefix, `${prefix}\uffff`);

/**
 * Resolves once a transaction is committed. idb-keyval's `promisifyRequest` rejects with the first failed request, when
 * the transaction has no error yet.
 */
export const committed = (transaction: IDBTransaction): Promise<void> =>
  new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new DOMException('The transaction ended.', 'AbortError'));
  });

/** Ends a transaction that does not answer, if it has begun and has not ended. */
export function abortTransaction(transaction: IDBTransaction | undefined): void {
  try {
    transaction?.abort();
  } catch {
    // It has ended.
  }
}
