/** Sessions in a database of their own: a header and parts for each. The header comes last, so half a session is none. */
import { createStore, promisifyRequest, type UseStore } from 'idb-keyval';
import type { StoredSession } from '../../src/contract/engine-api.ts';
import type { Bytes } from '../../src/contract/ids.ts';
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
  /** ms since 1970; the oldest go first. */
  savedAt: number;
}

const DATABASE = 'mixtab-sessions';
const headerKey = (id: string): string => `header/${id}`;
const partKey = (id: string, index: number): string => `part/${id}/${String(index).padStart(6, '0')}`;

export class SessionStore {
  #store: UseStore | undefined;

  /** @param database another name keeps tests apart from the user's sessions */
  constructor(private readonly database = DATABASE) {}

  header(id: string): Promise<SessionHeader | undefined> {
    return this.#run('readonly', (store) => promisifyRequest(store.get(headerKey(id)) as IDBRequest<SessionHeader | undefined>));
  }

  part(id: string, index: number): Promise<Blob | undefined> {
    return this.#run('readonly', (store) => promisifyRequest(store.get(partKey(id, index)) as IDBRequest<Blob | undefined>));
  }

  putPart(id: string, index: number, part: Blob): Promise<void> {
    return this.#write((store) => store.put(part, partKey(id, index)), part.size);
  }

  putHeader(id: string, header: SessionHeader): Promise<void> {
    return this.#write((store) => store.put(header, headerKey(id)));
  }

  remove(id: string): Promise<void> {
    return this.#write((store) => {
      store.delete(headerKey(id));
      store.delete(range(`part/${id}/`));
    });
  }

  /** Ids and sizes, oldest first. */
  async list(): Promise<StoredSession[]> {
    const prefix = headerKey('');
    const [keys, headers] = await this.#run('readonly', (store) =>
      Promise.all([promisifyRequest(store.getAllKeys(range(prefix))), promisifyRequest<SessionHeader[]>(store.getAll(range(prefix)))]),
    );
    return headers
      .map(({ modelId, bytes, savedAt }, i) => ({ id: String(keys[i]).slice(prefix.length), modelId, bytes, savedAt }))
      .sort((a, b) => a.savedAt - b.savedAt)
      .map(({ savedAt: _, ...entry }) => entry);
  }

  /** Removes the oldest until all take at most `budget` with `more` bytes to come, and parts that nobody will ever ask for. */
  async makeRoom(budget: Bytes, more: Bytes): Promise<void> {
    const sessions = await this.list();
    await this.#removeOrphans(new Set(sessions.map(({ id }) => id)));
    let used = sessions.reduce((sum, { bytes }) => sum + bytes, more);
    for (const { id, bytes } of sessions) {
      if (used <= budget) return;
      await this.remove(id);
      used -= bytes;
    }
  }

  /** Parts without a header: their tab was closed while it saved. */
  async #removeOrphans(ids: ReadonlySet<string>): Promise<void> {
    const prefix = 'part/';
    const keys = await this.#run('readonly', (store) => promisifyRequest(store.getAllKeys(range(prefix))));
    const orphans = keys.filter((key) => !ids.has(String(key).slice(prefix.length, String(key).lastIndexOf('/'))));
    if (orphans.length === 0) return;
    await this.#write((store) => {
      for (const key of orphans) store.delete(key);
    });
  }

  #write(work: (store: IDBObjectStore) => void, bytes: Bytes = 0): Promise<void> {
    return this.#run('readwrite', (store) => {
      work(store);
      return promisifyRequest(store.transaction);
    }, bytes);
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
