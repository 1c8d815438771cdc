/**
 * Saved sessions, in a database of their own: one header and several parts per session. When a session is saved again,
 * its parts are written beside the old ones. The header comes last and says which parts are valid, so a tab that is
 * closed while saving leaves the old session intact.
 */
import { createStore, promisifyRequest, type UseStore } from 'idb-keyval';
import type { ComputeKind } from '../../src/contract/engine-api.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import type { StoredSession } from '../../src/contract/import-api.ts';
import { within } from '../../src/contract/within.ts';
import { BlobValues } from './blob-values.ts';
import { abortTransaction, committed, prefixRange } from './indexed-db-store.ts';
import { notAnswering, storageError } from './storage-errors.ts';

/** Identifies what keys and values were computed with. They are valid for nothing else. */
export interface SessionOwner {
  modelId: string;
  /** SHA-256 over the hashes of all the model's records, in order. */
  weights: string;
  /** What computed them: the results of the GPU and the CPU differ in their last bits. */
  compute: ComputeKind;
}

export interface SessionHeader extends Omit<SessionOwner, 'compute'> {
  /** Absent in sessions of versions that computed on the GPU only. */
  compute?: ComputeKind;
  version: number;
  /** The router options in effect, from `routerOptionsKey`; empty if the model's own routing was used. */
  routing: string;
  layerCount: number;
  kvHeadCount: number;
  headDim: number;
  /** The tokens whose keys and values are stored, in order. */
  tokens: Uint32Array<ArrayBuffer>;
  /** Hash of each part. Parts are ordered by layer, then keys before values, then position. */
  parts: string[];
  bytes: Bytes;
  /** Selects the valid ones among the parts stored under this session's id. */
  generation: number;
  /** ms since 1970. The oldest sessions are removed first. */
  savedAt: number;
}

const DATABASE = 'mixtab-sessions';
/**
 * How long one transaction or the read of one part may take, in milliseconds; a part has 16 MB at most. Chromium never
 * ends a transaction that writes a Blob to a full disk, and an answer waits for the save of the conversation before.
 */
const PATIENCE_MS = 10_000;
const headerKey = (id: string): string => `header/${id}`;
const partPrefix = (id: string, generation: number): string => `part/${id}/${generation}/`;
const partKey = (id: string, generation: number, index: number): string =>
  `${partPrefix(id, generation)}${String(index).padStart(6, '0')}`;

/** The saved sessions: headers and parts, in a database of their own. */
export class SessionStore {
  #store: UseStore | undefined;
  readonly #blobs = new BlobValues();

  /** @param database name of the database; tests use another one to leave the user's sessions alone */
  constructor(private readonly database = DATABASE) {}

  header(id: string): Promise<SessionHeader | undefined> {
    return this.#run('readonly', (store) =>
      promisifyRequest(store.get(headerKey(id)) as IDBRequest<SessionHeader | undefined>),
    );
  }

  /**
   * The bytes of a part.
   * @returns undefined if it is not stored, or if the browser has lost the file behind it
   */
  async part(id: string, generation: number, index: number): Promise<ArrayBuffer | undefined> {
    const stored = await this.#run('readonly', (store) =>
      promisifyRequest(store.get(partKey(id, generation, index)) as IDBRequest<Blob | ArrayBuffer | undefined>),
    );
    return stored instanceof Blob ? inTime(stored.arrayBuffer().catch(() => undefined)) : stored;
  }

  putPart(id: string, generation: number, index: number, part: Blob): Promise<void> {
    return this.#blobs.write([part], ([value]) =>
      this.#write((store) => store.put(value, partKey(id, generation, index)), part.size),
    );
  }

  /**
   * Runs the saving of a session while no other tab saves it. Until it ends, {@link makeRoom} and {@link removeAll}
   * of any tab leave the session alone.
   */
  async whileSaving<T>(id: string, save: () => Promise<T>): Promise<T> {
    const { locks } = navigator as Partial<Navigator>; // absent over plain http
    return locks ? await locks.request(this.#lockPrefix + id, save) : save();
  }

  get #lockPrefix(): string {
    return `${this.database}/`;
  }

  /** Ids of the sessions that are being saved, in any tab. */
  async #beingSaved(): Promise<Set<string>> {
    const { locks } = navigator as Partial<Navigator>;
    const held = (await locks?.query())?.held ?? [];
    const names = held.map(({ name }) => name ?? '').filter((name) => name.startsWith(this.#lockPrefix));
    return new Set(names.map((name) => name.slice(this.#lockPrefix.length)));
  }

  /** Makes the parts of this generation the valid ones, and deletes all others in the same transaction. */
  putHeader(id: string, header: SessionHeader): Promise<void> {
    return this.#write((store) => {
      store.put(header, headerKey(id));
      store.delete(IDBKeyRange.bound(`part/${id}/`, partPrefix(id, header.generation), false, true));
      store.delete(IDBKeyRange.bound(`${partPrefix(id, header.generation)}\uffff`, `part/${id}/\uffff`));
    });
  }

  /** Removes parts whose header was never written. */
  removeParts(id: string, generation: number): Promise<void> {
    return this.#write((store) => store.delete(prefixRange(partPrefix(id, generation))));
  }

  remove(id: string): Promise<void> {
    return this.#write((store) => {
      store.delete(headerKey(id));
      store.delete(prefixRange(`part/${id}/`));
    });
  }

  /** Removes all sessions but those that are being saved, because the disk is full. @returns whether there were any */
  async removeAll(): Promise<boolean> {
    const saved = await this.#beingSaved();
    const sessions = (await this.list()).filter(({ id }) => !saved.has(id));
    for (const { id } of sessions) await this.remove(id);
    return sessions.length > 0;
  }

  /** Ids and sizes, oldest first. */
  async list(): Promise<StoredSession[]> {
    return (await this.#headers()).map(({ id, modelId, bytes }) => ({ id, modelId, bytes }));
  }

  async #headers(): Promise<(SessionHeader & { id: string })[]> {
    const prefix = headerKey('');
    const [keys, headers] = await this.#run('readonly', (store) =>
      Promise.all([
        promisifyRequest(store.getAllKeys(prefixRange(prefix))),
        promisifyRequest<SessionHeader[]>(store.getAll(prefixRange(prefix))),
      ]),
    );
    return headers
      .map((header, i) => ({ ...header, id: String(keys[i]).slice(prefix.length) }))
      .sort((a, b) => a.savedAt - b.savedAt);
  }

  /**
   * Makes room for a session that will replace `replaced`: removes orphaned parts, then the oldest other sessions until
   * all sessions fit into `budget`. The old `replaced` is not counted, although it exists until the new one is
   * complete. Sessions that another tab is saving are left alone.
   * @param needed size of the new session
   */
  async makeRoom(budget: Bytes, needed: Bytes, replaced: string): Promise<void> {
    const saved = await this.#beingSaved();
    saved.delete(replaced); // by this tab
    const sessions = await this.#headers();
    const valid = new Set(sessions.map(({ id, generation }) => partPrefix(id, generation)));
    await this.#removeOrphans(valid, saved);
    const others = sessions.filter(({ id }) => id !== replaced);
    let used = others.reduce((sum, { bytes }) => sum + bytes, needed);
    for (const { id, bytes } of others) {
      if (used <= budget) return;
      if (saved.has(id)) continue;
      await this.remove(id);
      used -= bytes;
    }
  }

  /**
   * Removes parts without a header: their tab was closed while saving.
   * @param saved ids of sessions that are being saved; their parts have no header yet
   */
  async #removeOrphans(validPrefixes: ReadonlySet<string>, saved: ReadonlySet<string>): Promise<void> {
    const keys = await this.#run('readonly', (store) => promisifyRequest(store.getAllKeys(prefixRange('part/'))));
    const isSaved = (key: string): boolean => [...saved].some((id) => key.startsWith(`part/${id}/`));
    const orphans = keys
      .map(String)
      .filter((key) => !validPrefixes.has(key.slice(0, key.lastIndexOf('/') + 1)) && !isSaved(key));
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
        return committed(store.transaction);
      },
      bytes,
    );
  }

  /** @throws MixtabError `storage-full`, `storage-unavailable` */
  async #run<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => Promise<T>, bytes: Bytes = 0): Promise<T> {
    this.#store ??= createStore(this.database, 'sessions');
    let transaction: IDBTransaction | undefined;
    const run = this.#store(mode, (store) => {
      transaction = store.transaction;
      return work(store);
    });
    try {
      return await inTime(run);
    } catch (error) {
      abortTransaction(transaction); // later writes would wait behind it
      throw await storageError(error, bytes);
    }
  }
}

/** @throws MixtabError `storage-unavailable` if it takes too long */
const inTime = <T>(work: Promise<T>): Promise<T> => within(PATIENCE_MS, work, () => notAnswering(PATIENCE_MS / 1000));
