/** The model store in main memory, for tests. */
import { KeyValueStore } from './key-value-store.ts';
import type { KeyValueChanges, KeyValues, RecordFiles } from './store.ts';

/** Values are cloned, as a database would do. */
export class MemoryValues implements KeyValues {
  readonly entries = new Map<string, unknown>();

  async keys(prefix: string): Promise<string[]> {
    return [...this.entries.keys()].filter((key) => key.startsWith(prefix)).sort();
  }

  async getAll(prefix: string): Promise<unknown[]> {
    return this.getMany(await this.keys(prefix));
  }

  async get(key: string): Promise<unknown> {
    return clone(this.entries.get(key));
  }

  async getMany(keys: string[]): Promise<unknown[]> {
    return keys.map((key) => clone(this.entries.get(key)));
  }

  async update(key: string, change: (value: unknown) => unknown): Promise<unknown> {
    if (!this.entries.has(key)) return undefined;
    const value = change(clone(this.entries.get(key)));
    this.entries.set(key, clone(value));
    return value;
  }

  async write(changes: KeyValueChanges): Promise<void> {
    for (const key of changes.delete ?? []) this.entries.delete(key);
    for (const prefix of changes.deletePrefix ?? []) {
      for (const key of await this.keys(prefix)) this.entries.delete(key);
    }
    for (const [key, value] of changes.set ?? []) this.entries.set(key, clone(value));
  }
}

// Blobs are immutable, and Node 20 cannot clone them.
const clone = (value: unknown): unknown => (value instanceof Blob ? value : structuredClone(value));

/** A model store in main memory, for tests. */
export class MemoryStore extends KeyValueStore {
  constructor(values: KeyValues = new MemoryValues(), files?: RecordFiles) {
    super(values, files);
  }
}
