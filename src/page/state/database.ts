/** A small database of the page: one object store in IndexedDB, used in whole transactions. */
import { createStore, promisifyRequest, type UseStore } from 'idb-keyval';

/** The records of one transaction. */
export interface Records {
  /** @returns undefined if there is no such record */
  get(key: string): Promise<unknown>;
  getAll(): Promise<unknown[]>;
  put(key: string, value: unknown): void;
  delete(key: string): void;
}

/** One database with one object store, in the layout of idb-keyval. */
export class Database {
  readonly #use: UseStore;
  /** Connections whose end is watched. */
  readonly #watched = new WeakSet<IDBDatabase>();
  /** Called when the browser closes the connection, as it does when it deletes the page's data. */
  onClosed = (): void => {};

  constructor(database: string, objectStore: string) {
    this.#use = createStore(database, objectStore);
  }

  /** Runs `work` in a transaction that only reads. */
  read<T>(work: (records: Records) => Promise<T>): Promise<T> {
    return this.#run('readonly', work);
  }

  /**
   * Runs `work` in a transaction. Transactions that write run one after another, those of other tabs included. Resolves
   * once everything is stored; if anything fails, nothing is.
   * @param work must wait for nothing but the records. It may run twice.
   */
  write<T>(work: (records: Records) => Promise<T>): Promise<T> {
    return this.#run('readwrite', work);
  }

  async #run<T>(mode: IDBTransactionMode, work: (records: Records) => Promise<T>): Promise<T> {
    const once = (): Promise<T> => this.#use(mode, (store) => this.#transact(store, work));
    try {
      return await once();
    } catch (error) {
      // The browser has closed the connection. A second try opens a new one.
      if (error instanceof DOMException && error.name === 'InvalidStateError') return await once();
      throw error;
    }
  }

  async #transact<T>(store: IDBObjectStore, work: (records: Records) => Promise<T>): Promise<T> {
    const { transaction } = store;
    this.#watch(transaction.db);
    const ended = committed(transaction);
    ended.catch(() => {}); // it is awaited below, unless `work` fails first
    try {
      const result = await work({
        get: (key) => promisifyRequest<unknown>(store.get(key)),
        getAll: () => promisifyRequest<unknown[]>(store.getAll()),
        put: (key, value) => void store.put(value, key),
        delete: (key) => void store.delete(key),
      });
      await ended;
      return result;
    } catch (error) {
      // Requests of a transaction that the browser ended say only that it has ended.
      const cause = transaction.error ?? error;
      abort(transaction);
      throw cause;
    }
  }

  #watch(connection: IDBDatabase): void {
    if (this.#watched.has(connection)) return;
    this.#watched.add(connection);
    connection.addEventListener('close', () => this.onClosed());
  }
}

/** Resolves once a transaction is committed, and rejects with the cause if it was not. */
const committed = (transaction: IDBTransaction): Promise<void> =>
  new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new DOMException('The transaction ended.', 'AbortError'));
  });

function abort(transaction: IDBTransaction): void {
  try {
    transaction.abort();
  } catch {
    // It has ended already.
  }
}
