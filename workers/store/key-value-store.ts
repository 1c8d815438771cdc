/** The model store on top of a key-value database, and of files for models that were imported into files. */
import { throwIfAborted } from '../../src/contract/errors.ts';
import type { StorageBackend } from '../../src/contract/import-api.ts';
import { MODEL_PREFIX, RECORD_PREFIX } from '../../src/contract/site-store.ts';
import { type ModelManifest, PART_BYTES, type RecordInfo } from '../format/manifest.ts';
import { joinParts, onePart, type RecordParts } from '../format/record-parts.ts';
import { BufferPool } from './buffer-pool.ts';
import { sha256Hex } from './hash.ts';
import { mapLimit } from './map-limit.ts';
import { readBlob } from './read-blob.ts';
import { damagedRecord, missingRecord } from './record-errors.ts';
import {
  byteLengthOf,
  type ImportJournal,
  type KeyValues,
  type RecordBytes,
  type RecordFiles,
  type RecordStore,
} from './store.ts';

const JOURNAL_PREFIX = 'import/';
const PARTIAL_PREFIX = 'partial/';

/** Parts of one record that are read at once. Two records are read at a time; four parts in all were the fastest. */
const PARTS_AT_ONCE = 2;

/** Number of Blobs that a record of `bytes` bytes is cut into. */
const partCount = (bytes: number): number => Math.ceil(bytes / PART_BYTES);

const partKey = (id: string, key: string, part: number): string =>
  `${RECORD_PREFIX}${id}/${key}/${String(part).padStart(4, '0')}`;

/**
 * Implements {@link RecordStore} on top of a key-value database, and of files for models that were imported into files.
 */
export class KeyValueStore implements RecordStore {
  /** `<model id>/<record key>` of the records whose hash has been checked. */
  readonly #verified = new Set<string>();

  /**
   * @param files holds the records of models imported into files; without it such models cannot be stored or read
   * @param buffers memory that records are read into
   */
  constructor(
    private readonly values: KeyValues,
    private readonly files?: RecordFiles,
    private readonly buffers = new BufferPool(),
  ) {}

  async listManifests(): Promise<ModelManifest[]> {
    const manifests = (await this.values.getAll(MODEL_PREFIX)) as ModelManifest[];
    return manifests.sort((a, b) => a.importedAt - b.importedAt);
  }

  async getManifest(id: string): Promise<ModelManifest | undefined> {
    return (await this.values.get(MODEL_PREFIX + id)) as ModelManifest | undefined;
  }

  async putManifest(manifest: ModelManifest): Promise<void> {
    const { id } = manifest;
    await this.values.write({
      set: [[MODEL_PREFIX + id, manifest]],
      delete: [JOURNAL_PREFIX + id, PARTIAL_PREFIX + id],
    });
  }

  async getPartial(id: string): Promise<ModelManifest | undefined> {
    return (await this.values.get(PARTIAL_PREFIX + id)) as ModelManifest | undefined;
  }

  async putPartial(manifest: ModelManifest): Promise<void> {
    await this.values.write({ set: [[PARTIAL_PREFIX + manifest.id, manifest]] });
  }

  async putRecord(
    modelId: string,
    key: string,
    bytes: Uint8Array<ArrayBuffer>,
    storage: StorageBackend = 'indexeddb',
  ): Promise<number> {
    await this.putRecords(modelId, [{ key, bytes }], storage);
    return storage === 'opfs' ? 1 : partCount(bytes.byteLength);
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
      Array.from({ length: partCount(bytes.byteLength) }, (_, part): [string, Blob] => [
        partKey(modelId, key, part),
        new Blob([bytes.subarray(part * PART_BYTES, (part + 1) * PART_BYTES)]),
      ]),
    );
    await this.values.write({ set: parts }, byteLengthOf(records));
  }

  async readRecord(modelId: string, record: RecordInfo, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    return joinParts(await this.#readParts(modelId, record, signal));
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
    if (hash !== record.sha256) {
      throw damagedRecord(record, `its hash is ${hash.slice(0, 12)}… instead of ${record.sha256.slice(0, 12)}…`);
    }
    this.#verified.add(name);
    return read;
  }

  async #readParts(modelId: string, record: RecordInfo, signal?: AbortSignal): Promise<RecordParts> {
    throwIfAborted(signal);
    if (record.place === 'opfs') return onePart(await this.#readFile(modelId, record, signal));
    const keys = Array.from({ length: record.parts }, (_, part) => partKey(modelId, record.key, part));
    const blobs = await this.values.getMany(keys);
    throwIfAborted(signal);
    const { results, failure } = await mapLimit(blobs, PARTS_AT_ONCE, (blob, part) =>
      this.#readPart(blob, part, record, signal),
    );
    const read = { byteLength: record.bytes, parts: results.filter((part) => part !== undefined) };
    if (failure) {
      this.#recycle(read);
      throw failure.error;
    }
    return read;
  }

  #recycle({ parts }: RecordParts): void {
    for (const { buffer } of parts) this.buffers.recycle(buffer);
  }

  async #readFile(modelId: string, record: RecordInfo, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await this.files?.read(modelId, record, this.buffers, signal);
    if (!bytes) throw missingRecord(record, 'their file does not exist');
    if (bytes.byteLength !== record.bytes) {
      throw damagedRecord(record, `their file has ${bytes.byteLength} bytes instead of ${record.bytes}`);
    }
    return bytes;
  }

  async #readPart(
    blob: unknown,
    part: number,
    record: RecordInfo,
    signal?: AbortSignal,
  ): Promise<Uint8Array<ArrayBuffer>> {
    if (!(blob instanceof Blob)) throw missingRecord(record, `part ${part + 1} of ${record.parts} is not stored`);
    const expected = Math.min(PART_BYTES, record.bytes - part * PART_BYTES);
    if (blob.size !== expected) {
      throw damagedRecord(record, `part ${part + 1} has ${blob.size} bytes instead of ${expected}`);
    }
    try {
      return await readBlob(blob, this.buffers, signal);
    } catch (error) {
      throwIfAborted(signal);
      // The database entry refers to a file that the browser can no longer read.
      throw missingRecord(record, `part ${part + 1} cannot be read (${(error as Error).message})`);
    }
  }

  async removeModel(id: string): Promise<void> {
    for (const name of this.#verified) if (name.startsWith(`${id}/`)) this.#verified.delete(name);
    await this.values.write({
      delete: [MODEL_PREFIX + id, JOURNAL_PREFIX + id, PARTIAL_PREFIX + id],
      deletePrefix: [`${RECORD_PREFIX}${id}/`],
    });
    await this.files?.remove(id);
  }

  async getJournal(id: string): Promise<ImportJournal | undefined> {
    return (await this.values.get(JOURNAL_PREFIX + id)) as ImportJournal | undefined;
  }

  async listJournals(): Promise<ImportJournal[]> {
    return (await this.values.getAll(JOURNAL_PREFIX)) as ImportJournal[];
  }

  async putJournal(journal: ImportJournal): Promise<void> {
    await this.values.write({ set: [[JOURNAL_PREFIX + journal.id, journal]] });
  }

  async storedRecords(id: string, records: readonly RecordInfo[]): Promise<Set<string>> {
    const parts = new Set(await this.values.keys(`${RECORD_PREFIX}${id}/`));
    const files = new Set(await this.files?.keys(id));
    const complete = records.filter((record) => {
      if (record.place === 'opfs') return files.has(record.key);
      for (let part = 0; part < record.parts; part++) if (!parts.has(partKey(id, record.key, part))) return false;
      return true;
    });
    return new Set(complete.map(({ key }) => key));
  }

  async listLeftovers(): Promise<string[]> {
    const idsWith = async (prefix: string): Promise<string[]> =>
      (await this.values.keys(prefix)).map((key) => key.split('/')[1]!);
    const listed = new Set(await idsWith(MODEL_PREFIX));
    const all = [
      ...(await idsWith(RECORD_PREFIX)),
      ...(await idsWith(JOURNAL_PREFIX)),
      ...(await idsWith(PARTIAL_PREFIX)),
      ...((await this.files?.models()) ?? []),
    ];
    return [...new Set(all)].filter((id) => !listed.has(id));
  }
}
