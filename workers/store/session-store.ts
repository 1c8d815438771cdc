/**
 * Sessions in a database of their own: a header and parts for each. Parts are written beside those of the session before,
 * and the header, which comes last, says which are meant: a tab that is closed meanwhile leaves what was.
 */
import { createStore, promisifyRequest, type UseStore } from 'idb-keyval';
import type { Bytes } from '../../src/contract/ids.ts';
import type { StoredSession } from '../../src/contract/import-api.ts';
import { range, storageError } from './indexed-db-store.ts';

/** What must be the same for keys and values to mean the same. */
export interface SessionOwner {
  modelId: string;
  /** SHA-256 over the hashes of all the model's records, in order. */
  weights: string;
}

export interface SessionHeader extends SessionOwner {
  version: number;
  /** How experts were chosen, as `routerOptionsKey` says; empty: as the model does. */
  routing: string;
  layerCount: number;
  kvHeadCount: number;
  headDim: number;
  /** Tokens whose keys and values the parts hold, in order. */
  tokens: Uint32Array<ArrayBuffer>;
  /** Hash of each part; layer by layer, keys before values, each in pieces by position. */
  parts: string[];
  bytes: Bytes;
  /** Which of the parts under this name are meant. */
  generation: number;
  /** ms since 1970; the oldest go first. */
  savedAt: number;
}

const DATABASE = 'mixtab-sessions';
const headerKey = (id: string): string => `header/${id}`;
const partsOf = (id: string, generation: number): string => `part/${id}/${generation}/`;
const partKey = (id: string, generation: number, index: number): string =>
  `${partsOf(id, generation)}${String(index).padStart(6, '0')}`;

export class SessionStore {
  #store: UseStore | undefined;

  /** @param database another name keeps tests apart from the user's sessions */
  constructor(private readonly database = DATABASE) {}

  header(id: string): Promise<SessionHeader | undefined> {
    return this.#run('readonly', (store) =>
      promisifyRequest(store.get(headerKey(id)) as IDBRequest<SessionHeader | undefined>),
    );
  }

  part(id: string, generation: number, index: number): Promise<Blob | undefined> {
    return this.#run('readonly', (store) =>
      promisifyRequest(store.get(partKey(id, generation, index)) as IDBRequest<Blob | undefined>),
    );
  }

  putPart(id: string, generation: number, index: number, part: Blob): Promise<void> {
    return this.#write((store) => store.put(part, partKey(id, generation, index)), part.size);
  }

  /** Makes the parts of this generation the session; those of the one before go in the same transaction. */
  putHeader(id: string, header: SessionHeader): Promise<void> {
    return this.#write((store) => {
      store.put(header, headerKey(id));
      store.delete(IDBKeyRange.bound(`part/${id}/`, partsOf(id, header.generation), false, true));
      store.delete(IDBKeyRange.bound(`${partsOf(id, header.generation)}\uffff`, `part/${id}/\uffff`));
    });
  }

  /** Parts that never got a header. */
  removeParts(id: string, generation: number): Promise<void> {
    return this.#write((store) => store.delete(range(partsOf(id, generation))));
  }

  remove(id: string): Promise<void> {
    return this.#write((store) => {
      store.delete(headerKey(id));
      store.delete(range(`part/${id}/`));
    });
  }

  /** Ids and sizes, oldest first. */
  async list(): Promise<StoredSession[]> {
    return (await this.#headers()).map(({ id, modelId, bytes }) => ({ id, modelId, bytes }));
  }

  async #headers(): Promise<(SessionHeader & { id: string })[]> {
    const prefix = headerKey('');
    const [keys, headers] = await this.#run('readonly', (store) =>
      Promise.all([
        promisifyRequest(store.getAllKeys(range(prefix))),
        promisifyRequest<SessionHeader[]>(store.getAll(range(prefix))),
      ]),
    );
    return headers
      .map((header, i) => ({ ...header, id: String(keys[i]).slice(prefix.length) }))
      .sort((a, b) => a.savedAt - b.savedAt);
  }

  /**
   * Removes the oldest until all take at most `budget` with `more` bytes to come in place of the session `replaced`, and
   * parts that nobody will ever ask for. While the new one is written, the old one is beside it.
   */
  async makeRoom(budget: Bytes, more: Bytes, replaced: string): Promise<void> {
    const sessions = await this.#headers();
    await this.#removeOrphans(new Set(sessions.map(({ id, generation }) => partsOf(id, generation))));
    const others = sessions.filter(({ id }) => id !== replaced);
    let used = others.reduce((sum, { bytes }) => sum + bytes, more);
    for (const { id, bytes } of others) {
      if (used <= budget) return;
      await this.remove(id);
      used -= bytes;
    }
  }

  /** Parts without a header: their tab was closed while it saved. */
  async #removeOrphans(known: ReadonlySet<string>): Promise<void> {
    const keys = await this.#run('readonly', (store) => promisifyRequest(store.getAllKeys(range('part/'))));
    const orphans = keys.filter((key) => !known.has(String(key).slice(0, String(key).lastIndexOf('/') + 1)));
    if (orphans.length === 0) return;
    await this.#write((store) => {
      for (const key of orphans) store.delete(key);
    });
  }

  #write(work: (store: IDBObjectStore) => void, bytes: Bytes = 0): Promise<void> {
    return this.#run(
      'readwrite',
      (store) => {
        work(store);
        return promisifyRequest(store.transaction);
      },
      bytes,
    );
  }

  /** @throws MixtabError `storage-full`, `storage-unavailable` */
  async #run<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => Promise<T>, bytes: Bytes = 0): Promise<T> {
    try {
      this.#store ??= createStore(this.database, 'sessions');
      return await this.#store(mode, work);
    } catch (error) {
      throw await storageError(error, bytes);
    }
  }
}
