/**
 * A database whose reads, small changes and deletions end. A browser may never answer one, or never open the database,
 * and then a list of models, or the load of one, would wait for ever.
 */
import type { Bytes } from '../../src/contract/ids.ts';
import { ReadWatch } from './read-watch.ts';
import { notAnswering } from './storage-errors.ts';
import type { KeyValueChanges, KeyValues } from './store.ts';

/**
 * Reads through another {@link KeyValues}. While neither a read nor a write gets an answer for a minute, all reads are
 * repeated over a new connection; after two more minutes they are errors ({@link ReadWatch}). Updates and
 * deletions are not repeated, and are errors after three minutes without any answer. Writes of new values have no limit:
 * a slow disk may need minutes for one record, and an import has a watch of its own.
 */
export class WatchedValues implements KeyValues {
  readonly #watch: ReadWatch;
  #writes = 0;

  /**
   * @param reopen gives up the connection with all its reads; the next read opens another one
   * @param tickMs for tests
   */
  constructor(
    private readonly values: KeyValues,
    reopen: () => void,
    tickMs?: number,
  ) {
    const progress = async (): Promise<number> => this.#writes; // the end of a read counts anyway
    this.#watch = new ReadWatch({ progress, restart: reopen, ...(tickMs !== undefined && { tickMs }) });
  }

  keys(prefix: string): Promise<string[]> {
    return this.#read(() => this.values.keys(prefix));
  }

  getAll(prefix: string): Promise<unknown[]> {
    return this.#read(() => this.values.getAll(prefix));
  }

  get(key: string): Promise<unknown> {
    return this.#read(() => this.values.get(key));
  }

  getMany(keys: string[]): Promise<unknown[]> {
    return this.#read(() => this.values.getMany(keys));
  }

  update(key: string, change: (value: unknown) => unknown): Promise<unknown> {
    return this.#watch.runOnce(() => this.#write(this.values.update(key, change)), notAnswering);
  }

  write(changes: KeyValueChanges, bytes?: Bytes): Promise<void> {
    const write = (): Promise<void> => this.#write(this.values.write(changes, bytes));
    return changes.set ? write() : this.#watch.runOnce(write, notAnswering);
  }

  /** @throws MixtabError `storage-unavailable` if the database does not answer */
  #read<T>(read: () => Promise<T>): Promise<T> {
    return this.#watch.run(read, notAnswering);
  }

  #write<T>(written: Promise<T>): Promise<T> {
    return written.finally(() => this.#writes++);
  }
}
