/**
 * What the store promises, and how models lie in a key-value database:
 *
 * - `model/<id>`                the manifest; a model is listed if and only if it has one
 * - `record/<id>/<key>/<part>`  a record's bytes, cut into Blobs of at most PART_BYTES
 * - `import/<id>`               what a running (or crashed) import has stored so far
 * - `partial/<id>`              the manifest-to-be, once all but experts are stored: such a model can be talked to
 *
 * Where a model's records are to be files instead, only manifest and journal are in the database.
 * Bytes come first, the entry that says they are complete last.
 */
import { MixtabError, throwIfAborted } from '../../src/contract/errors.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import type { StorageBackend } from '../../src/contract/import-api.ts';
import { MODEL_PREFIX as MODEL, RECORD_PREFIX as RECORD } from '../../src/contract/site-store.ts';
import { type ModelManifest, PART_BYTES, type RecordInfo } from '../format/manifest.ts';
import { joinParts, onePart, type RecordParts } from '../format/record-parts.ts';
import { BufferPool } from './buffer-pool.ts';
import { sha256Hex } from './hash.ts';
import { readBlob } from './read-blob.ts';

/** What an import has stored so far: lets the same import go on after a crash. */
export interface ImportJournal {
  id: string;
  layoutVersion: number;
  name: string;
  origin: string;
  sourceUrl?: string;
  /** Of all records that the import will store. */
  bytesTotal: Bytes;
  /** Records whose bytes are stored. */
  records: RecordInfo[];
}

/** A record on its way into the store. */
export interface RecordBytes {
  key: string;
  bytes: Uint8Array<ArrayBuffer>;
}

export const byteLengthOf = (records: readonly RecordBytes[]): Bytes =>
  records.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);

/** Where models live. Every method may throw `storage-unavailable`. */
export interface RecordStore {
  /** Manifests of all models, oldest first. */
  listManifests(): Promise<ModelManifest[]>;
  getManifest(id: string): Promise<ModelManifest | undefined>;
  /** The manifest of a model whose dense weights are stored and whose experts are still being imported. */
  getPartial(id: string): Promise<ModelManifest | undefined>;
  putPartial(manifest: ModelManifest): Promise<void>;
  /** Lists the model, or changes its entry. Ends the journal of its import in the same transaction. */
  putManifest(manifest: ModelManifest): Promise<void>;
  /**
   * Stores one record, all its parts or none.
   * @returns the number of parts
   * @throws MixtabError `storage-full`
   */
  putRecord(modelId: string, key: string, bytes: Uint8Array<ArrayBuffer>, storage?: StorageBackend): Promise<number>;
  /** Stores several, all of them or none (files: one after the other). A transaction takes a small record longer than its bytes. */
  putRecords(modelId: string, records: readonly RecordBytes[], storage?: StorageBackend): Promise<void>;
  /**
   * @throws MixtabError `record-missing` where a part is gone, `record-damaged` where the length is wrong, `aborted`
   */
  readRecord(modelId: string, record: RecordInfo, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
  /** Like {@link readRecord}, and checks the hash the first time this store reads the record. */
  readRecordVerified(modelId: string, record: RecordInfo, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * {@link readRecordVerified} without putting the parts together. Their buffers may be given back for the next ones; those of a read
   * that `signal` has ended are.
   */
  readPartsVerified(modelId: string, record: RecordInfo, signal?: AbortSignal): Promise<RecordParts>;
  /** Removes manifest, records and journal; those in the database in one transaction, files after them. */
  removeModel(id: string): Promise<void>;

  getJournal(id: string): Promise<ImportJournal | undefined>;
  listJournals(): Promise<ImportJournal[]>;
  putJournal(journal: ImportJournal): Promise<void>;
  /** Keys of the model's records all of whose parts are there, whatever they hold. */
  storedRecords(id: string, records: readonly RecordInfo[]): Promise<Set<string>>;
  /** Ids that have a journal or records but no manifest: what a crash leaves. */
  listLeftovers(): Promise<string[]>;
}

/** The little that a store needs of a database. A batch of writes is applied whole or not at all. */
export interface KeyValues {
  /** Values of all keys that begin with `prefix`, in order of keys. */
  getAll(prefix: string): Promise<unknown[]>;
  keys(prefix: string): Promise<string[]>;
  get(key: string): Promise<unknown>;
  getMany(keys: string[]): Promise<unknown[]>;
  /** @param bytes size of what is written, for the message where it does not fit */
  write(
    changes: { set?: [string, unknown][]; delete?: string[]; deletePrefix?: string[] },
    bytes?: Bytes,
  ): Promise<void>;
}

/** Records as files. Every method may throw `storage-unavailable`. */
export interface RecordFiles {
  /** Stores the whole record or nothing; @throws MixtabError `storage-full` */
  put(modelId: string, key: string, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /**
   * The file's bytes, however many, in a buffer from `buffers`; undefined where there is none.
   * @throws MixtabError `aborted`; the buffer is back in `buffers`
   */
  read(
    modelId: string,
    record: RecordInfo,
    buffers: BufferPool,
    signal?: AbortSignal,
  ): Promise<Uint8Array<ArrayBuffer> | undefined>;
  remove(modelId: string): Promise<void>;
  keys(modelId: string): Promise<string[]>;
  /** Ids of models that have files. */
  models(): Promise<string[]>;
}

/** Parts of a record that are read at once: with two records under way, four, which a bare loop does best with. */
const PARTS_AT_ONCE = 2;

const JOURNAL = 'import/';
const PARTIAL = 'partial/';

/** Record store over any {@link KeyValues}. */
export class KeyValueStore implements RecordStore {
  readonly #verified = new Set<string>();

  /**
   * @param files where records of place `opfs` lie; without it there are none
   * @param buffers what records are read into
   */
  constructor(
    private readonly values: KeyValues,
    private readonly files?: RecordFiles,
    private readonly buffers = new BufferPool(),
  ) {}

  async listManifests(): Promise<ModelManifest[]> {
    const manifests = (await this.values.getAll(MODEL)) as ModelManifest[];
    return manifests.sort((a, b) => a.importedAt - b.importedAt);
  }

  async getManifest(id: string): Promise<ModelManifest | undefined> {
    return (await this.values.get(MODEL + id)) as ModelManifest | undefined;
  }

  async putManifest(manifest: ModelManifest): Promise<void> {
    const { id } = manifest;
    await this.values.write({ set: [[MODEL + id, manifest]], delete: [JOURNAL + id, PARTIAL + id] });
  }

  async getPartial(id: string): Promise<ModelManifest | undefined> {
    return (await this.values.get(PARTIAL + id)) as ModelManifest | undefined;
  }

  async putPartial(manifest: ModelManifest): Promise<void> {
    await this.values.write({ set: [[PARTIAL + manifest.id, manifest]] });
  }

  async putRecord(
    modelId: string,
    key: string,
    bytes: Uint8Array<ArrayBuffer>,
    storage: StorageBackend = 'indexeddb',
  ): Promise<number> {
    await this.putRecords(modelId, [{ key, bytes }], storage);
    return storage === 'opfs' ? 1 : Math.ceil(bytes.byteLength / PART_BYTES);
  }

  async putRecords(
    modelId: string,
    records: readonly RecordBytes[],
    storage: StorageBackend = 'indexeddb',
  ): Promise<void> {
    for (const { key } of records) this.#verified.delete(`${modelId}/${key}`);
    if (storage === 'opfs') {
      if (!this.files) throw new TypeError('this store has no files');
      for (const { key, bytes } of records) await this.files.put(modelId, key, bytes);
      return;
    }
    const parts = records.flatMap(({ key, bytes }) =>
      Array.from({ length: Math.ceil(bytes.byteLength / PART_BYTES) }, (_, part): [string, Blob] => [
        partKey(modelId, key, part),
        new Blob([bytes.subarray(part * PART_BYTES, (part + 1) * PART_BYTES)]),
      ]),
    );
    await this.values.write({ set: parts }, byteLengthOf(records));
  }

  async readRecord(modelId: string, record: RecordInfo, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    return joinParts(await this.#readParts(modelId, record, signal));
  }

  async #readParts(modelId: string, record: RecordInfo, signal?: AbortSignal): Promise<RecordParts> {
    throwIfAborted(signal);
    if (record.place === 'opfs') return onePart(await this.#readFile(modelId, record, signal));
    const keys = Array.from({ length: record.parts }, (_, part) => partKey(modelId, record.key, part));
    const blobs = await this.values.getMany(keys);
    throwIfAborted(signal);
    const { results: parts, failure } = await mapLimit(blobs, (blob, part) =>
      this.#readPart(blob, part, record, signal),
    );
    const read = { byteLength: record.bytes, parts: parts.filter((part) => part !== undefined) };
    if (failure) this.#recycle(read);
    if (failure) throw failure.error;
    return read;
  }

  #recycle({ parts }: RecordParts): void {
    for (const { buffer } of parts) this.buffers.recycle(buffer);
  }

  async #readFile(modelId: string, record: RecordInfo, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await this.files?.read(modelId, record, this.buffers, signal);
    if (!bytes) throw missingRecord(record, 'its file is gone');
    if (bytes.byteLength !== record.bytes) {
      throw damagedRecord(record, `its file has ${bytes.byteLength} bytes instead of ${record.bytes}`);
    }
    return bytes;
  }

  async #readPart(
    blob: unknown,
    part: number,
    record: RecordInfo,
    signal?: AbortSignal,
  ): Promise<Uint8Array<ArrayBuffer>> {
    if (!(blob instanceof Blob)) throw missingRecord(record, `part ${part} of ${record.parts} is not stored`);
    const offset = part * PART_BYTES;
    const expected = Math.min(PART_BYTES, record.bytes - offset);
    if (blob.size !== expected)
      throw damagedRecord(record, `part ${part} has ${blob.size} bytes instead of ${expected}`);
    try {
      return await readBlob(blob, this.buffers, signal);
    } catch (error) {
      throwIfAborted(signal);
      // The database names a file that the browser can no longer read.
      throw missingRecord(record, `part ${part} cannot be read (${(error as Error).message})`);
    }
  }

  async readRecordVerified(
    modelId: string,
    record: RecordInfo,
    signal?: AbortSignal,
  ): Promise<Uint8Array<ArrayBuffer>> {
    return joinParts(await this.readPartsVerified(modelId, record, signal));
  }

  async readPartsVerified(modelId: string, record: RecordInfo, signal?: AbortSignal): Promise<RecordParts> {
    const read = await this.#readParts(modelId, record, signal);
    const name = `${modelId}/${record.key}`;
    if (this.#verified.has(name)) return read;
    if (signal?.aborted) this.#recycle(read);
    throwIfAborted(signal);
    const whole = joinParts(read, (size) => this.buffers.take(size));
    const hash = await sha256Hex(whole);
    if (read.parts.length > 1) this.buffers.recycle(whole.buffer);
    if (hash !== record.sha256)
      throw damagedRecord(record, `its hash is ${hash.slice(0, 12)}… instead of ${record.sha256.slice(0, 12)}…`);
    this.#verified.add(name);
    return read;
  }

  async removeModel(id: string): Promise<void> {
    for (const name of this.#verified) if (name.startsWith(`${id}/`)) this.#verified.delete(name);
    await this.values.write({ delete: [MODEL + id, JOURNAL + id, PARTIAL + id], deletePrefix: [`${RECORD}${id}/`] });
    await this.files?.remove(id);
  }

  async getJournal(id: string): Promise<ImportJournal | undefined> {
    return (await this.values.get(JOURNAL + id)) as ImportJournal | undefined;
  }

  async listJournals(): Promise<ImportJournal[]> {
    return (await this.values.getAll(JOURNAL)) as ImportJournal[];
  }

  async putJournal(journal: ImportJournal): Promise<void> {
    await this.values.write({ set: [[JOURNAL + journal.id, journal]] });
  }

  async storedRecords(id: string, records: readonly RecordInfo[]): Promise<Set<string>> {
    const keys = new Set(await this.values.keys(`${RECORD}${id}/`));
    const files = new Set(await this.files?.keys(id));
    const complete = records.filter(({ key, parts, place }) => {
      if (place === 'opfs') return files.has(key);
      for (let part = 0; part < parts; part++) if (!keys.has(partKey(id, key, part))) return false;
      return true;
    });
    return new Set(complete.map(({ key }) => key));
  }

  async listLeftovers(): Promise<string[]> {
    const idOf = (key: string): string => key.split('/')[1]!;
    const listed = new Set((await this.values.keys(MODEL)).map(idOf));
    const all = [
      ...(await this.values.keys(RECORD)),
      ...(await this.values.keys(JOURNAL)),
      ...(await this.values.keys(PARTIAL)),
    ].map(idOf);
    all.push(...((await this.files?.models()) ?? []));
    return [...new Set(all)].filter((id) => !listed.has(id));
  }
}

const partKey = (id: string, key: string, part: number): string =>
  `${RECORD}${id}/${key}/${String(part).padStart(4, '0')}`;

const missingRecord = ({ key }: RecordInfo, why: string): MixtabError =>
  new MixtabError(
    'record-missing',
    `The stored weights ${key} are missing: ${why}.`,
    'Repair the model, or remove it and import it again.',
  );

const damagedRecord = ({ key }: RecordInfo, why: string): MixtabError =>
  new MixtabError(
    'record-damaged',
    `The stored weights ${key} are damaged: ${why}.`,
    'Repair the model, or remove it and import it again.',
  );

/**
 * `work` of each item, {@link PARTS_AT_ONCE} under way at a time; the results in order of the items. After a failure none is begun; never
 * throws, and returns when nothing is under way any more: the results there are would be lost.
 */
async function mapLimit<T, R>(
  items: readonly T[],
  work: (item: T, index: number) => Promise<R>,
): Promise<{ results: R[]; failure?: { error: unknown } }> {
  const results: R[] = [];
  let failure: { error: unknown } | undefined;
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length && !failure) {
      const index = next++;
      try {
        results[index] = await work(items[index], index);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: PARTS_AT_ONCE }, lane));
  return { results, ...(failure && { failure }) };
}
