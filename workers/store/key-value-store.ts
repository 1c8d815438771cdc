/** The model store on top of a key-value database, and of files for models that were imported into files. */
import { throwIfAborted } from '../../src/contract/errors.ts';
import type { StorageBackend } from '../../src/contract/import-api.ts';
import { MODEL_PREFIX, RECORD_PREFIX } from '../../src/contract/site-store.ts';
import { type ModelManifest, PART_BYTES, type RecordInfo } from '../format/manifest.ts';
import { joinParts, type RecordParts } from '../format/record-parts.ts';
import { type RecordSlice, segmentsOf } from '../format/slices.ts';
import { BufferPool, startSlices, takeSlices } from './buffer-pool.ts';
import { mapLimit } from './map-limit.ts';
import { readBlob } from './read-blob.ts';
import { checkFinite, checkSha256, inOrder, startRecordChecksum } from './record-check.ts';
import { damagedRecord, missingRecord, unreadableRecord } from './record-errors.ts';
import {
  byteLengthOf,
  type ImportJournal,
  type KeyValues,
  type ReadForm,
  type ReadOptions,
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

/** No browser has larger buffers. Far above any expert: one of Mixtral 8x22B in F32 has 1.2 GB. */
const MAX_RECORD_BYTES = 2 ** 32;

/** Throws `record-damaged` if the manifest itself is damaged, before memory is allocated for what it says. */
function checkSize(record: RecordInfo): void {
  const { bytes, parts, place } = record;
  const possible = Number.isInteger(bytes) && bytes >= 0 && bytes <= MAX_RECORD_BYTES;
  if (possible && (place === 'opfs' || parts === partCount(bytes))) return;
  throw damagedRecord(record, `they are listed with ${bytes} bytes in ${parts} parts`);
}

/** Throws `record-damaged` if the slices do not fit into the record: the layouts in its manifest are wrong. */
function checkSlices(record: RecordInfo, slices: readonly RecordSlice[]): void {
  checkSize(record);
  try {
    segmentsOf(slices, record.bytes);
  } catch (error) {
    throw damagedRecord(record, `their layout does not fit their size (${(error as Error).message})`);
  }
}

/**
 * Runs a read. Whatever it throws that is no `MixtabError` says nothing about the record itself.
 * @throws MixtabError `memory-full`, `record-unreadable`, or what `read` throws
 */
async function orUnreadable<T>(record: RecordInfo, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw unreadableRecord(record, error);
  }
}

const partKey = (id: string, key: string, part: number): string =>
  `${RECORD_PREFIX}${id}/${key}/${String(part).padStart(4, '0')}`;

/**
 * Implements {@link RecordStore} on top of a key-value database, and of files for models that were imported into files.
 */
export class KeyValueStore implements RecordStore {
  /** `<model id>/<record key>` of the records that have been checked. */
  readonly #verified = new Set<string>();

  /**
   * @param files holds the records of models imported into files; without it such models cannot be stored or read
   * @param buffers memory that records are read into
   * @param onProgress called whenever a read has got something: an answer of the database, or bytes
   */
  constructor(
    private readonly values: KeyValues,
    private readonly files?: RecordFiles,
    private readonly buffers = new BufferPool(),
    private readonly onProgress: () => void = () => {},
  ) {}

  async listManifests(): Promise<ModelManifest[]> {
    const manifests = (await this.values.getAll(MODEL_PREFIX)) as ModelManifest[];
    return manifests.sort((a, b) => a.importedAt - b.importedAt);
  }

  async getManifest(id: string): Promise<ModelManifest | undefined> {
    const manifest = await this.values.get(MODEL_PREFIX + id);
    this.onProgress();
    return manifest as ModelManifest | undefined;
  }

  async putManifest(manifest: ModelManifest): Promise<void> {
    const { id } = manifest;
    await this.values.write({
      set: [[MODEL_PREFIX + id, manifest]],
      delete: [JOURNAL_PREFIX + id, PARTIAL_PREFIX + id],
    });
  }

  async updateManifest(
    id: string,
    change: (manifest: ModelManifest) => ModelManifest,
  ): Promise<ModelManifest | undefined> {
    const updated = await this.values.update(MODEL_PREFIX + id, (value) => change(value as ModelManifest));
    return updated as ModelManifest | undefined;
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
    return orUnreadable(record, async () => joinParts(await this.#readParts(modelId, record, { signal })));
  }

  async readRecordVerified(
    modelId: string,
    record: RecordInfo,
    signal?: AbortSignal,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const parts = await this.readPartsVerified(modelId, record, signal);
    return orUnreadable(record, async () => joinParts(parts));
  }

  async readPartsVerified(
    modelId: string,
    record: RecordInfo,
    signal?: AbortSignal,
    form: ReadForm = {},
  ): Promise<RecordParts> {
    if (form.slices) checkSlices(record, form.slices);
    return orUnreadable(record, () => this.#readVerified(modelId, record, signal, form));
  }

  async #readVerified(
    modelId: string,
    record: RecordInfo,
    signal: AbortSignal | undefined,
    { slices, parts }: ReadForm,
  ): Promise<RecordParts> {
    const name = `${modelId}/${record.key}`;
    if (this.#verified.has(name)) return this.#readParts(modelId, record, { signal, slices, parts });
    const checksum = await startRecordChecksum(record);
    if (checksum) {
      const early = record.finite ? parts : undefined; // or their weights have to be checked as well
      const read = await this.#readParts(modelId, record, { signal, slices, parts: early, checksum });
      if (checksum.digest() === record.xxh64) {
        this.#requireFinite(record, read, slices);
        this.#verified.add(name);
        return read;
      }
      this.#recycle(read);
      parts?.reset();
    }
    const read = await this.#readParts(modelId, record, { signal });
    try {
      throwIfAborted(signal);
      await checkSha256(record, read, this.buffers);
      checkFinite(record, record.tensors, read.parts);
    } catch (error) {
      this.#recycle(read);
      throw error;
    }
    this.#verified.add(name);
    return slices ? takeSlices(read, slices, this.buffers) : read;
  }

  /** Reads a record, or slices of it, without checking it. */
  async #readParts(modelId: string, record: RecordInfo, options: Omit<ReadOptions, 'buffers'>): Promise<RecordParts> {
    const { signal, checksum, slices, parts: early } = options;
    throwIfAborted(signal);
    checkSize(record);
    if (record.place === 'opfs') {
      const { buffers, onProgress } = this;
      const file = await this.files?.read(modelId, record, { buffers, onProgress, ...options });
      if (!file) throw missingRecord(record, 'their file does not exist');
      return file;
    }
    const keys = Array.from({ length: record.parts }, (_, part) => partKey(modelId, record.key, part));
    const blobs = await this.values.getMany(keys);
    this.onProgress();
    throwIfAborted(signal);
    // Each part goes into the slices at once, and its memory to the next part.
    const sliced = slices && startSlices(record.bytes, slices, this.buffers);
    const copied = new Set<Uint8Array>();
    const use = (bytes: Uint8Array<ArrayBuffer>, part: number): void => {
      checksum?.update(bytes);
      if (!sliced && blobs.length > 1) early?.add(bytes, part);
      if (!sliced) return;
      sliced.copy(part * PART_BYTES, bytes);
      copied.add(bytes);
      this.buffers.recycle(bytes.buffer);
    };
    const onPart = checksum ? inOrder(use) : use;
    const { results, failure } = await mapLimit(blobs, PARTS_AT_ONCE, async (blob, part) => {
      const bytes = await this.#readPart(blob, part, record, signal);
      onPart(bytes, part);
      return bytes;
    });
    if (failure) {
      const parts = results.filter((part) => part !== undefined && !copied.has(part));
      for (const { buffer } of [...parts, ...(sliced?.parts ?? [])]) this.buffers.recycle(buffer);
      throw failure.error;
    }
    return { byteLength: record.bytes, parts: sliced ? sliced.parts : results };
  }

  /** @throws MixtabError `not-finite`, after the memory was recycled */
  #requireFinite(record: RecordInfo, read: RecordParts, slices: readonly RecordSlice[] | undefined): void {
    try {
      if (slices) for (const [i, { tensors }] of slices.entries()) checkFinite(record, tensors, [read.parts[i]]);
      else checkFinite(record, record.tensors, read.parts);
    } catch (error) {
      this.#recycle(read);
      throw error;
    }
  }

  #recycle({ parts }: RecordParts): void {
    for (const { buffer } of parts) this.buffers.recycle(buffer);
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
      return await readBlob(blob, this.buffers, { signal, onProgress: this.onProgress });
    } catch (error) {
      throwIfAborted(signal);
      // The database entry refers to a file that does not exist any more.
      if (error instanceof DOMException && error.name === 'NotFoundError')
        throw missingRecord(record, `part ${part + 1} has no file (${error.message})`);
      throw unreadableRecord(record, error);
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
    const journal = await this.values.get(JOURNAL_PREFIX + id);
    this.onProgress();
    return journal as ImportJournal | undefined;
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
    const prefixes = [MODEL_PREFIX, RECORD_PREFIX, JOURNAL_PREFIX, PARTIAL_PREFIX];
    const [[listed, ...others], inFiles] = await Promise.all([
      Promise.all(prefixes.map(idsWith)),
      this.files?.models() ?? [],
    ]);
    return [...new Set([...others.flat(), ...inFiles])].filter((id) => !listed.includes(id));
  }
}
