/**
 * What was learned about a GPU on this machine, for the next visit: in a database of its own, by adapter and browser
 * version. All of it can be learned again, so errors of the storage are not reported.
 */
import { createStore, get, set, type UseStore } from 'idb-keyval';

const DATABASE = 'mixtab-adapters';

/** Facts about one adapter in one version of one browser. */
export class AdapterMemory {
  /** What is not in the database: in Node, and if the browser blocks storage. Other tabs change what is in it. */
  readonly #known = new Map<string, unknown>();
  #store: UseStore | undefined;

  /**
   * @param adapter identifies the adapter and the browser version: {@link adapterKey}
   * @param database name of the database; tests use another one
   */
  constructor(
    private readonly adapter: string,
    private readonly database = DATABASE,
  ) {}

  /** A fact that was stored; undefined if there is none, or it cannot be read. Its form has to be checked. */
  async get(name: string): Promise<unknown> {
    if (this.#known.has(name)) return this.#known.get(name);
    try {
      return await get(this.#key(name), this.#open());
    } catch {
      return undefined;
    }
  }

  /** Stores a fact. If that fails, it is known until the tab is closed. */
  async set(name: string, value: unknown): Promise<void> {
    this.#known.set(name, value);
    try {
      await set(this.#key(name), value, this.#open());
      if (this.#known.get(name) === value) this.#known.delete(name);
    } catch {
      // It will be learned again.
    }
  }

  /**
   * Changes a fact, and stores it if it is another one then.
   * @param read the form of what was stored
   * @returns the changed fact
   */
  async change<T>(name: string, read: (value: unknown) => T, change: (fact: T) => T | Promise<T>): Promise<T> {
    const before = read(await this.get(name));
    const after = await change(before);
    if (JSON.stringify(before) !== JSON.stringify(after)) await this.set(name, after);
    return after;
  }

  #key(name: string): string {
    return `${this.adapter} ${name}`;
  }

  #open(): UseStore {
    this.#store ??= createStore(this.database, 'facts');
    return this.#store;
  }
}

/** Identifies an adapter and the browser version, as far as a page can see them. */
export function adapterKey(
  adapter: { vendor: string; architecture: string; description: string },
  userAgent = globalThis.navigator?.userAgent ?? '',
): string {
  const { vendor, architecture, description } = adapter;
  return [vendor, architecture, description, userAgent].join(' | ');
}
