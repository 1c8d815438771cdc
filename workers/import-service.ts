/** The import worker's side of the contract: one import at a time, cancel, clean-up of imports that never ended. */
import type { ImportApi, ImportProgress, ModelInspection, ModelSource, ModelSummary } from '../src/contract/engine-api.ts';
import { MixtabError } from '../src/contract/errors.ts';
import { inspectFile } from './gguf/inspect.ts';
import type { ByteSource } from './storage/byte-source.ts';
import { summarize } from './storage/catalog.ts';
import { importModel, verifyModel } from './storage/importer.ts';
import { estimateFreeBytes, storageFull } from './storage/indexed-db-store.ts';
import { openFiles, openUrl } from './storage/model-source.ts';
import type { RecordStore } from './storage/store.ts';

/** Held while importing, so that another tab does not take our unfinished records for leftovers. */
const IMPORT_LOCK = 'mixtab-import';

export class ImportService implements ImportApi {
  #running: AbortController | undefined;

  constructor(private readonly store: RecordStore) {}

  async list(): Promise<ModelSummary[]> {
    return (await this.store.listManifests()).map(summarize);
  }

  async import(source: ModelSource, onProgress: (progress: ImportProgress) => void): Promise<ModelSummary> {
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

/** Asks the browser to keep our data, and fails before the first byte where the space will not do. */
async function checkSpace(bytes: number): Promise<void> {
  await navigator.storage.persist?.();
  const free = await estimateFreeBytes();
  if (free !== undefined && bytes > free) throw storageFull(bytes, free);
}
