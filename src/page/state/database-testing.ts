/**
 * A stand-in for `database.ts` in tests. Its databases are in memory, and shared by all copies of this module, as tabs
 * share them: a test that resets the modules and imports them again has a second tab.
 */
import type { Records } from './database.ts';

interface Browser {
  /** The records by database. A test may delete them, as a browser does. */
  databases: Map<string, Map<string, unknown>>;
  /** If set, every transaction that writes fails with it. */
  failure: Error | undefined;
  /** If set, every other transaction fails with it. */
  readFailure: Error | undefined;
  /** If set, transactions that begin to read now pass on what they found after it. */
  readDelay: Promise<void> | undefined;
  /** The transaction that runs. A test may replace it by a promise: until that resolves, nothing is answered. */
  queue: Promise<unknown>;
}

const shared = globalThis as { mixtabTestBrowser?: Browser };
shared.mixtabTestBrowser ??= {
  databases: new Map(),
  failure: undefined,
  readFailure: undefined,
  readDelay: undefined,
  queue: Promise.resolve(),
};

/** What all tabs share. */
export const browser: Browser = shared.mixtabTestBrowser;

/** Runs transactions one after another. Values are copied on the way in and out, as IndexedDB does. */
export class Database {
  onClosed = (): void => {};

  constructor(private readonly name: string) {}

  async read<T>(work: (records: Records) => Promise<T>): Promise<T> {
    if (browser.readFailure) throw browser.readFailure;
    const delay = browser.readDelay;
    const result = await this.#run(work);
    await delay;
    return result;
  }

  write<T>(work: (records: Records) => Promise<T>): Promise<T> {
    return this.#run(async (records) => {
      const result = await work(records);
      if (browser.failure) throw browser.failure;
      return result;
    });
  }

  #run<T>(work: (records: Records) => Promise<T>): Promise<T> {
    const run = async (): Promise<T> => {
      const changed = new Map(browser.databases.get(this.name));
      const result = await work({
        get: async (key) => structuredClone(changed.get(key)),
        getAll: async () => [...changed.values()].map((value) => structuredClone(value)),
        put: (key, value) => void changed.set(key, structuredClone(value)),
        delete: (key) => void changed.delete(key),
      });
      browser.databases.set(this.name, changed);
      return result;
    };
    const result = browser.queue.then(run);
    browser.queue = result.catch(() => {});
    return result;
  }
}
