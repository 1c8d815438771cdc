/** The import worker's side of the contract: one import at a time, cancel, clean-up of imports that never ended. */
import type { ImportApi, ImportOptions, ImportProgress, ModelInspection, ModelSource, ModelSummary } from '../src/contract/engine-api.ts';
import { MixtabError } from '../src/contract/errors.ts';
import { inspectFile } from './gguf/inspect.ts';
import type { ByteSource } from './storage/byte-source.ts';
import { summarize } from './storage/catalog.ts';
import { importModel, verifyModel } from './storage/importer.ts';
import { estimateFreeBytes, storageFull } from './storage/indexed-db-store.ts';
import { openFiles, openUrl } from './storage/model-source.ts';
import { opfsSupported } from './storage/opfs-files.ts';
import type { RecordStore } from './storage/store.ts';

/** Held while importing, so that another tab does not take our unfinished records for leftovers. */
const IMPORT_LOCK = 'mixtab-import';

export class ImportService implements ImportApi {
  #running: AbortController | undefined;

  constructor(private readonly store: RecordStore) {}

  async list(): Promise<ModelSummary[]> {
    return (await this.store.listManifests()).map(summarize);
  }

  async import(
    source: ModelSource,
    onProgress: (progress: ImportProgress) => void,
    { place }: ImportOptions = {},
  ): Promise<ModelSummary> {
    if (place === 'opfs' && !opfsSupported()) {
      throw new MixtabError('storage-unavailable', 'This browser has no private file system for workers.', 'Choose the database instead.');
    }
    if (this.#running) throw new MixtabError('busy', 'Another import is running.', 'Wait until it is done, or cancel it.');
    const running = new AbortController();
    this.#running = running;
    try {
      return await navigator.locks.request(IMPORT_LOCK, { signal: running.signal }, async () => {
        await this.#removeLeftovers();
        const opened = await openSource(source, running.signal);
        return importModel({
          store: this.store,
          source: opened,
          kind: source.kind,
          ...(source.kind !== 'file' && { sourceUrl: source.url }),
          ...(place && { place }),
          signal: running.signal,
          onProgress,
          preflight: checkSpace,
        });
      });
    } finally {
      this.#running = undefined;
    }
  }

  async cancel(): Promise<void> {
    this.#running?.abort();
  }

  remove(id: string): Promise<void> {
    return this.store.removeModel(id);
  }

  verify(id: string, onProgress: (progress: ImportProgress) => void): Promise<string[]> {
    return verifyModel(this.store, id, onProgress);
  }

  async inspect(source: ModelSource): Promise<ModelInspection> {
    return inspectFile(await openSource(source));
  }

  async #removeLeftovers(): Promise<void> {
    for (const id of await this.store.listLeftovers()) await this.store.removeModel(id);
  }
}

function openSource(source: ModelSource, signal?: AbortSignal): Promise<ByteSource> {
  if (source.kind !== 'file') return openUrl(source.url, signal ? { signal } : {});
  return openFiles(source.files.map((file) => ({ blob: file, name: file.name })), signal);
}

/** Chromium never reports more free space than about this, so that pages cannot tell disks apart; 26 GB were stored all the same. */
const REPORTED_AT_MOST = 9.5 * 2 ** 30;

/** Asks the browser to keep our data, and fails before the first byte where the space is known not to do. */
async function checkSpace(bytes: number): Promise<void> {
  await navigator.storage.persist?.();
  const free = await estimateFreeBytes();
  if (free !== undefined && bytes > free && free < REPORTED_AT_MOST) throw storageFull(bytes, free);
}
