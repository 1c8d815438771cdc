/**
 * Interfaces of the model store, and of the two backends below it: a key-value database and a folder of files.
 * README.md lists the keys and the order of writes.
 */
import type { Bytes } from '../../src/contract/ids.ts';
import type { StorageBackend } from '../../src/contract/import-api.ts';
import type { ModelManifest, RecordInfo } from '../format/manifest.ts';
import type { RecordParts } from '../format/record-parts.ts';
import type { RecordSlice } from '../format/slices.ts';
import type { BufferPool } from './buffer-pool.ts';
import type { Checksum } from './xxh64.ts';

/** What an import has stored so far. With it, the same import can continue after a crash. */
export interface ImportJournal {
  /** Of the model, derived from the file's content. */
  id: string;
  layoutVersion: number;
  name: string;
  /** File name or URL of the source. */
  origin: string;
  /** Absent for local files. */
  sourceUrl?: string;
  /** Origin of the embedding page that began the import; absent: the user did. */
  embedder?: string;
  /** Of all records that the import will store. */
  bytesTotal: Bytes;
  /** Records whose bytes are stored. */
  records: RecordInfo[];
}

/** A record that is about to be stored. */
export interface RecordBytes {
  /** See {@link RecordInfo.key}. */
  key: string;
  bytes: Uint8Array<ArrayBuffer>;
}

/** The sizes of records, added up. */
export const byteLengthOf = (records: readonly RecordBytes[]): Bytes =>
  records.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);

/** Gets the parts of a record while others are still being read. */
export interface PartReceiver {
  /**
   * A part has been read. It may still turn out that the record is damaged, or that the read fails. The receiver may
   * transfer the part's buffer.
   * @param index of the part; parts may arrive in any order
   */
  add(part: Uint8Array<ArrayBuffer>, index: number): void;
  /** The parts that were added are void: the record is read again. */
  reset(): void;
}

/** In which form a record is read. Without any of these, its parts are returned when all have been read. */
export interface ReadForm {
  /** Reads slices of the record, each into a buffer of its own. */
  slices?: readonly RecordSlice[] | undefined;
  /** Gets parts early. Those of small records, and of records that need all bytes for their check, do not come early. */
  parts?: PartReceiver | undefined;
}

/** Stores models. Every method may throw `storage-unavailable`. */
export interface RecordStore {
  /** Manifests of all models, oldest first. */
  listManifests(): Promise<ModelManifest[]>;
  getManifest(id: string): Promise<ModelManifest | undefined>;
  /** The manifest of a model whose dense weights are stored and whose experts are still being imported. */
  getPartial(id: string): Promise<ModelManifest | undefined>;
  putPartial(manifest: ModelManifest): Promise<void>;
  /** Lists the model, or replaces its manifest. Deletes the journal of its import in the same transaction. */
  putManifest(manifest: ModelManifest): Promise<void>;
  /**
   * Changes the manifest of a listed model in one transaction. Does nothing if the model has been removed meanwhile.
   * @param change is called with the manifest as it is stored now
   * @returns the changed manifest; undefined if the model is not listed
   */
  updateManifest(id: string, change: (manifest: ModelManifest) => ModelManifest): Promise<ModelManifest | undefined>;
  /**
   * Stores one record: all its parts or none.
   * @returns the number of parts
   * @throws MixtabError `storage-full`
   */
  putRecord(modelId: string, key: string, bytes: Uint8Array<ArrayBuffer>, storage?: StorageBackend): Promise<number>;
  /**
   * Stores several records. In the database they share one transaction, so either all are stored or none: for small
   * records the transaction costs more time than the bytes. Files are written one after the other.
   * @throws MixtabError `storage-full`
   */
  putRecords(modelId: string, records: readonly RecordBytes[], storage?: StorageBackend): Promise<void>;
  /**
   * Reads one record without checking its hash.
   * @throws MixtabError `record-missing` if a part is not stored, `record-damaged` if its length is wrong,
   *   `record-unreadable`, `memory-full`, `aborted`
   */
  readRecord(modelId: string, record: RecordInfo, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Reads one record. Checks its checksum or hash the first time that this store reads it.
   * @throws MixtabError `record-missing`, `record-damaged`, `record-unreadable`, `memory-full`, `aborted`
   */
  readRecordVerified(modelId: string, record: RecordInfo, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Reads one record without joining its parts. Checks its checksum or hash the first time that this store reads it.
   * The caller may recycle the parts' buffers after use; the buffers of a failed read are recycled here.
   * @param form with slices, the parts of the result are their buffers: one each, of its size. With a receiver, parts
   *   that it got are those of the result, too
   * @throws MixtabError `record-missing`, `record-damaged`, `record-unreadable`, `memory-full`, `aborted`
   */
  readPartsVerified(modelId: string, record: RecordInfo, signal?: AbortSignal, form?: ReadForm): Promise<RecordParts>;
  /** Removes manifest, records and journal. Database entries go in one transaction, files after it. */
  removeModel(id: string): Promise<void>;

  getJournal(id: string): Promise<ImportJournal | undefined>;
  listJournals(): Promise<ImportJournal[]>;
  putJournal(journal: ImportJournal): Promise<void>;
  /** Keys of those `records` whose parts are all stored. Their content is not checked. */
  storedRecords(id: string, records: readonly RecordInfo[]): Promise<Set<string>>;
  /** Ids of models that have a journal or records but no manifest, as a crash leaves them. */
  listLeftovers(): Promise<string[]>;
}

/** Changes to a {@link KeyValues}. Deletions are applied before additions. */
export interface KeyValueChanges {
  set?: [key: string, value: unknown][];
  delete?: string[];
  deletePrefix?: string[];
}

/** The part of a database's interface that the store needs. Every method may throw `storage-unavailable`. */
export interface KeyValues {
  /** Values of all keys that begin with `prefix`, ordered by key. */
  getAll(prefix: string): Promise<unknown[]>;
  keys(prefix: string): Promise<string[]>;
  get(key: string): Promise<unknown>;
  getMany(keys: string[]): Promise<unknown[]>;
  /**
   * Replaces the value of a key in one transaction. Does nothing if the key has no value.
   * @returns the new value
   */
  update(key: string, change: (value: unknown) => unknown): Promise<unknown>;
  /**
   * Applies all changes or none.
   * @param bytes size of the written values, for the error message
   * @throws MixtabError `storage-full`
   */
  write(changes: KeyValueChanges, bytes?: Bytes): Promise<void>;
}

/** How to read a record. */
export interface ReadOptions {
  /** Memory to read into. */
  buffers: BufferPool;
  /** Updated with the record's bytes, in order. */
  checksum?: Checksum | undefined;
  /** What to read of the record, each into a buffer of its own. Default: all of it, into one. */
  slices?: readonly RecordSlice[] | undefined;
  /** Gets the parts of a large record early, each in a buffer of its own. Not together with slices. */
  parts?: PartReceiver | undefined;
  /** Cancels the read after the piece that is being read. */
  signal?: AbortSignal | undefined;
  /** Called when the file is open, and after each piece. */
  onProgress?: (() => void) | undefined;
}

/** Records as files. Every method may throw `storage-unavailable`. */
export interface RecordFiles {
  /**
   * Stores the whole record or nothing.
   * @throws MixtabError `storage-full`
   */
  put(modelId: string, key: string, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /**
   * Reads a record's file. A failed read recycles its buffers.
   * @returns undefined if there is no such file
   * @throws MixtabError `record-damaged` if the file's length is wrong, `aborted`
   */
  read(modelId: string, record: RecordInfo, options: ReadOptions): Promise<RecordParts | undefined>;
  remove(modelId: string): Promise<void>;
  /** Keys of the records that have a file. */
  keys(modelId: string): Promise<string[]>;
  /** Ids of models that have files. */
  models(): Promise<string[]>;
}
