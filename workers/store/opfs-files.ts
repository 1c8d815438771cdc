/**
 * Records as files of the origin private file system (OPFS), one file per record. They are read several times faster
 * than from IndexedDB (docs/measurements/streaming.md). Synchronous access handles exist in workers only.
 */
import { isDiskFull } from '../../src/contract/disk-full.ts';
import { MixtabError, throwIfAborted } from '../../src/contract/errors.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import { RECORD_FOLDER } from '../../src/contract/site-store.ts';
import { within } from '../../src/contract/within.ts';
import type { RecordInfo } from '../format/manifest.ts';
import { onePart, type RecordParts } from '../format/record-parts.ts';
import { takeSlices } from './buffer-pool.ts';
import { readBlob } from './read-blob.ts';
import { readFile } from './read-file.ts';
import { unreadableRecord, wrongFileLength } from './record-errors.ts';
import { notAnswering, storageError, storageFull } from './storage-errors.ts';
import type { ReadOptions, RecordFiles } from './store.ts';

/** In this mode Chromium allows several readers of a file at once. Other browsers ignore the option. */
type SyncHandleOptions = { mode?: 'read-only' };
type FileHandle = FileSystemFileHandle & {
  createSyncAccessHandle(options?: SyncHandleOptions): Promise<FileSystemSyncAccessHandle>;
};

/** True if this browser has what {@link OpfsFiles} needs. */
export function opfsSupported(): boolean {
  return typeof FileSystemFileHandle !== 'undefined' && 'createSyncAccessHandle' in FileSystemFileHandle.prototype;
}

/** Runs a synchronous call, so that somebody can watch whether it returns. */
type DiskCall = <T>(call: () => T) => T;
const unwatched: DiskCall = (call) => call();

/** The file that {@link opfsWorks} writes. Imports run one at a time in all tabs, so no two use it at once. */
const PROBE = 'mixtab-probe';
/** A damaged file system may never answer. */
const PROBE_MS = 3000;
/** How long the removal of a model's files may take. A slow disk may need minutes for hundreds of large files. */
const REMOVE_MS = 180_000;

/**
 * True if a file can be written and read now. Private windows of some browsers have the interface and refuse to use it.
 * Works only in workers.
 * @param diskCall runs each synchronous call: while one does not return, the timer does not run either
 */
export function opfsWorks(diskCall: DiskCall = unwatched): Promise<boolean> {
  if (!opfsSupported()) return Promise.resolve(false);
  const tooLate = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), PROBE_MS));
  return Promise.race([writeAndRead(diskCall).catch(() => false), tooLate]);
}

async function writeAndRead(diskCall: DiskCall): Promise<boolean> {
  const root = await navigator.storage.getDirectory();
  const file = (await root.getFileHandle(PROBE, { create: true })) as FileHandle;
  const handle = await file.createSyncAccessHandle();
  const read = new Uint8Array(1);
  try {
    diskCall(() => handle.write(new Uint8Array([42]), { at: 0 }));
    diskCall(() => handle.flush());
    diskCall(() => handle.read(read, { at: 0 }));
  } finally {
    diskCall(() => handle.close());
    await root.removeEntry(PROBE).catch(() => {});
  }
  return read[0] === 42;
}

/** Records as files of the origin private file system. Works only in workers. */
export class OpfsFiles implements RecordFiles {
  /** Settles with the current read. Reads run one after another: two that took turns would both finish late. */
  #reading: Promise<unknown> = Promise.resolve();

  /**
   * @param folderName name of the folder that holds one directory per model
   * @param diskCall runs each synchronous call, so that somebody can watch whether it returns
   */
  constructor(
    private readonly folderName = RECORD_FOLDER,
    private readonly diskCall: DiskCall = unwatched,
  ) {}

  async put(modelId: string, key: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const directory = await this.#modelDirectory(modelId, true, bytes.byteLength);
    try {
      const file = (await directory!.getFileHandle(key, { create: true })) as FileHandle;
      const handle = await file.createSyncAccessHandle();
      try {
        this.diskCall(() => handle.truncate(0));
        const written = this.diskCall(() => handle.write(bytes, { at: 0 }));
        if (written !== bytes.byteLength)
          throw new DOMException(`${written} of ${bytes.byteLength} bytes written`, 'QuotaExceededError');
        this.diskCall(() => handle.flush());
      } finally {
        this.diskCall(() => handle.close());
      }
    } catch (error) {
      await directory!.removeEntry(key).catch(() => {});
      throw await storageError(error, bytes.byteLength);
    }
  }

  async read(modelId: string, record: RecordInfo, options: ReadOptions): Promise<RecordParts | undefined> {
    const directory = await this.#modelDirectory(modelId, false);
    const file = (await directory?.getFileHandle(record.key).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw unreadableRecord(record, error);
    })) as FileHandle | undefined;
    if (!file) return undefined;
    let handle: FileSystemSyncAccessHandle;
    try {
      handle = await file.createSyncAccessHandle({ mode: 'read-only' });
    } catch (error) {
      if (!isFileInUse(error)) throw error;
      // Browsers without that mode allow one handle per file, and another tab has it. Read the slower way.
      return readAsBlob(await file.getFile(), record, options);
    }
    try {
      options.onProgress?.();
      const watched = {
        getSize: () => this.diskCall(() => handle.getSize()),
        read: (piece: Uint8Array, at: { at: number }) => this.diskCall(() => handle.read(piece, at)),
      };
      const read = this.#reading.then(() => readFile(watched, record, options));
      this.#reading = read.catch(() => {});
      return await read;
    } finally {
      this.diskCall(() => handle.close());
    }
  }

  /** @throws MixtabError `storage-unavailable`, also if the disk does not answer; then it may still happen later */
  remove(modelId: string): Promise<void> {
    return within(REMOVE_MS, this.#remove(modelId), () => notAnswering(REMOVE_MS / 1000));
  }

  async #remove(modelId: string): Promise<void> {
    const folder = await this.#folder();
    await folder?.removeEntry(modelId, { recursive: true }).catch((error: unknown) => {
      if (!isNotFound(error)) throw storageUnavailable(error);
    });
  }

  async keys(modelId: string): Promise<string[]> {
    return namesIn(await this.#modelDirectory(modelId, false));
  }

  async models(): Promise<string[]> {
    return namesIn(await this.#folder());
  }

  /** The folder with one directory per model; undefined if the browser does not support such files. */
  async #folder(): Promise<FileSystemDirectoryHandle | undefined> {
    if (!opfsSupported()) return undefined;
    try {
      const root = await navigator.storage.getDirectory();
      return await root.getDirectoryHandle(this.folderName, { create: true });
    } catch (error) {
      throw storageUnavailable(error);
    }
  }

  /**
   * A model's directory. Without `create`, undefined if it does not exist.
   * @param bytes size of what will be written into it, for the message
   */
  async #modelDirectory(
    modelId: string,
    create: boolean,
    bytes: Bytes = 0,
  ): Promise<FileSystemDirectoryHandle | undefined> {
    const folder = await this.#folder();
    if (!folder) {
      if (create) throw storageUnavailable('no synchronous access handles');
      return undefined;
    }
    return folder.getDirectoryHandle(modelId, { create }).catch((error: unknown) => {
      if (!create && isNotFound(error)) return undefined;
      if (isDiskFull(error)) throw storageFull(bytes, undefined);
      throw storageUnavailable(error);
    });
  }
}

/**
 * Reads a record whose file cannot be opened. Takes twice the record's memory if there are slices.
 * @throws MixtabError `record-damaged` if the file's length is wrong, `aborted`
 */
async function readAsBlob(
  file: Blob,
  record: RecordInfo,
  { buffers, checksum, slices, signal, onProgress }: ReadOptions,
): Promise<RecordParts> {
  onProgress?.();
  throwIfAborted(signal);
  if (file.size !== record.bytes) throw wrongFileLength(record, file.size);
  const bytes = await readBlob(file, buffers, { signal, onProgress }).catch((error: unknown) => {
    throwIfAborted(signal);
    throw error;
  });
  checksum?.update(bytes);
  return slices ? takeSlices(onePart(bytes), slices, buffers) : onePart(bytes);
}

async function namesIn(directory: FileSystemDirectoryHandle | undefined): Promise<string[]> {
  const names: string[] = [];
  if (directory) for await (const name of directory.keys()) names.push(name);
  return names;
}

const isNotFound = (error: unknown): boolean => error instanceof DOMException && error.name === 'NotFoundError';

const isFileInUse = (error: unknown): boolean =>
  error instanceof DOMException && ['NoModificationAllowedError', 'InvalidStateError'].includes(error.name);

const storageUnavailable = (error: unknown): MixtabError =>
  new MixtabError(
    'storage-unavailable',
    `The browser's file system cannot be used (${error instanceof Error ? error.message : String(error)}).`,
    'Store new models in IndexedDB instead.',
  );
