/**
 * Records as files of the origin private file system, one a record. Reads several times faster than IndexedDB
 * (docs/streaming.md). Synchronous access handles exist in workers only.
 */
import { MixtabError, throwIfAborted } from '../../src/contract/errors.ts';
import { PART_BYTES, type RecordInfo } from '../format/manifest.ts';
import type { BufferPool } from './buffer-pool.ts';
import { storageError } from './indexed-db-store.ts';
import type { RecordFiles } from './store.ts';

const FOLDER = 'mixtab-records';

/** Chromium allows several readers of a file at once where this mode is asked for; others ignore it. */
type SyncHandleOptions = { mode?: 'read-only' };
type FileHandle = FileSystemFileHandle & {
  createSyncAccessHandle(options?: SyncHandleOptions): Promise<FileSystemSyncAccessHandle>;
};

/** True where this browser has what {@link OpfsFiles} needs. */
export function opfsSupported(): boolean {
  return typeof FileSystemFileHandle !== 'undefined' && 'createSyncAccessHandle' in FileSystemFileHandle.prototype;
}

export class OpfsFiles implements RecordFiles {
  /** Ends with the read under way: of two that took turns, both would come late. */
  #reading: Promise<unknown> = Promise.resolve();

  constructor(private readonly folder = FOLDER) {}

  async put(modelId: string, key: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const directory = await this.#directory(modelId, true);
    try {
      const file = (await directory!.getFileHandle(key, { create: true })) as FileHandle;
      const handle = await file.createSyncAccessHandle();
      try {
        handle.truncate(0);
        const written = handle.write(bytes, { at: 0 });
        if (written !== bytes.byteLength)
          throw new DOMException(`${written} of ${bytes.byteLength} bytes written`, 'QuotaExceededError');
        handle.flush();
      } finally {
        handle.close();
      }
    } catch (error) {
      await directory!.removeEntry(key).catch(() => {});
      throw await storageError(error, bytes.byteLength);
    }
  }

  async read(
    modelId: string,
    record: RecordInfo,
    buffers: BufferPool,
    signal?: AbortSignal,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const directory = await this.#directory(modelId, false);
    const file = (await directory?.getFileHandle(record.key).catch(() => undefined)) as FileHandle | undefined;
    if (!file) return undefined;
    let handle: FileSystemSyncAccessHandle;
    try {
      handle = await file.createSyncAccessHandle({ mode: 'read-only' });
    } catch (error) {
      // Browsers without that mode give one handle a file: another tab has it. Read the slower way.
      if (
        !(
          error instanceof DOMException &&
          (error.name === 'NoModificationAllowedError' || error.name === 'InvalidStateError')
        )
      )
        throw error;
      return new Uint8Array(await (await file.getFile()).arrayBuffer());
    }
    try {
      const read = this.#reading.then(() => readPieces(handle, buffers, signal));
      this.#reading = read.catch(() => {});
      return await read;
    } finally {
      handle.close();
    }
  }

  async remove(modelId: string): Promise<void> {
    const folder = await this.#folder();
    await folder?.removeEntry(modelId, { recursive: true }).catch((error: unknown) => {
      if (!(error instanceof DOMException && error.name === 'NotFoundError')) throw storageUnavailable(error);
    });
  }

  async keys(modelId: string): Promise<string[]> {
    return namesIn(await this.#directory(modelId, false));
  }

  async models(): Promise<string[]> {
    return namesIn(await this.#folder());
  }

  async #folder(): Promise<FileSystemDirectoryHandle | undefined> {
    if (!opfsSupported()) return undefined;
    try {
      const root = await navigator.storage.getDirectory();
      return await root.getDirectoryHandle(this.folder, { create: true });
    } catch (error) {
      throw storageUnavailable(error);
    }
  }

  async #directory(modelId: string, create: boolean): Promise<FileSystemDirectoryHandle | undefined> {
    const folder = await this.#folder();
    if (!folder) {
      if (create) throw storageUnavailable('no synchronous access handles');
      return undefined;
    }
    return folder.getDirectoryHandle(modelId, { create }).catch((error: unknown) => {
      if (!create && error instanceof DOMException && error.name === 'NotFoundError') return undefined;
      throw storageUnavailable(error);
    });
  }
}

/** @throws MixtabError `aborted`, heard between two pieces */
async function readPieces(
  handle: FileSystemSyncAccessHandle,
  buffers: BufferPool,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  throwIfAborted(signal);
  // A file of another length is damaged, which the caller says.
  const bytes = new Uint8Array(buffers.take(handle.getSize()));
  let read = 0;
  while (read < bytes.byteLength) {
    const piece = handle.read(bytes.subarray(read, read + PART_BYTES), { at: read });
    if (piece === 0) break;
    read += piece;
    if (signal && read < bytes.byteLength) await messagesTaken();
    if (signal?.aborted) buffers.recycle(bytes.buffer);
    throwIfAborted(signal);
  }
  // Bytes that were not read would be those of another record.
  return bytes.subarray(0, read);
}

/** Lets messages in that have come in the meantime: reading takes all of the worker's time. A timer would wait for 4 ms. */
function messagesTaken(): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

async function namesIn(directory: FileSystemDirectoryHandle | undefined): Promise<string[]> {
  const names: string[] = [];
  if (directory) for await (const name of directory.keys()) names.push(name);
  return names;
}

const storageUnavailable = (error: unknown): MixtabError =>
  new MixtabError(
    'storage-unavailable',
    `The browser's file system cannot be used (${error instanceof Error ? error.message : String(error)}).`,
    'Choose the database as the place for models.',
  );
