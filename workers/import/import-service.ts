/** The import worker's API: one import or repair at a time, with cancelling, pausing, and clean-up after crashes. */
import type { AccessToken } from '../../src/contract/access-token.ts';
import { aborted, MixtabError } from '../../src/contract/errors.ts';
import { formatBytes } from '../../src/contract/format-bytes.ts';
import type {
  ImportApi,
  ImportOptions,
  ImportProgress,
  ModelInspection,
  ModelSource,
  ModelSummary,
  StoredSession,
  UnfinishedImport,
} from '../../src/contract/import-api.ts';
import { inspectFile } from '../format/gguf/inspect.ts';
import { LAYOUT_VERSION } from '../format/weight-layout.ts';
import { summarize } from '../store/catalog.ts';
import { opfsSupported } from '../store/opfs-files.ts';
import { IMPORT_LOCK, RecordRequests } from '../store/record-requests.ts';
import { SessionStore } from '../store/session-store.ts';
import { storageFull } from '../store/storage-errors.ts';
import { estimateFreeBytes, judgeSpace } from '../store/storage-space.ts';
import type { RecordStore } from '../store/store.ts';
import { BufferedByteSource } from './buffered-byte-source.ts';
import { sumBytes } from './build-record.ts';
import type { ByteSource } from './byte-source.ts';
import type { HttpOptions } from './http-byte-source.ts';
import { type ImportInputs, PAUSE } from './import-inputs.ts';
import { importModel } from './importer.ts';
import { openFiles, openUrl } from './model-source.ts';
import { repairModel } from './repair.ts';
import { modelNotFound, verifyModel } from './verify.ts';

const WAITING: ImportProgress = {
  phase: 'header',
  bytesDone: 0,
  bytesTotal: 0,
  recordsDone: 0,
  recordsTotal: 0,
  warning: 'Another tab is importing a model. This import starts when that one is done.',
};

/** Implements {@link ImportApi}: one import or repair at a time, in all tabs together. */
export class ImportService implements ImportApi {
  #running: AbortController | undefined;

  constructor(
    private readonly store: RecordStore,
    private readonly sessionStore = new SessionStore(),
  ) {}

  async list(): Promise<ModelSummary[]> {
    return (await this.store.listManifests()).map(summarize);
  }

  async import(
    source: ModelSource,
    onProgress: (progress: ImportProgress) => void,
    { storage }: ImportOptions = {},
  ): Promise<ModelSummary> {
    if (storage === 'opfs' && !opfsSupported()) {
      throw new MixtabError(
        'storage-unavailable',
        'This browser has no private file system for workers.',
        'Store new models in IndexedDB instead.',
      );
    }
    return this.#exclusive(onProgress, async (signal) => {
      await this.#removeLeftovers();
      const inputs = await this.#openInputs(source, signal, onProgress);
      const requests = new RecordRequests();
      try {
        return await importModel({ ...inputs, ...(storage && { storage }), requests });
      } finally {
        requests.close();
      }
    });
  }

  async cancel(): Promise<void> {
    this.#running?.abort();
  }

  async pause(): Promise<void> {
    this.#running?.abort(PAUSE);
  }

  async unfinished(): Promise<UnfinishedImport[]> {
    const journals = await this.store.listJournals();
    return Promise.all(
      journals.map(async ({ id, name, origin, sourceUrl, bytesTotal, records }) => ({
        id,
        name,
        origin,
        ...(sourceUrl !== undefined && { sourceUrl }),
        bytesTotal,
        bytesDone: sumBytes(records),
        usable: (await this.store.getPartial(id)) !== undefined,
      })),
    );
  }

  repair(id: string, onProgress: (progress: ImportProgress) => void, access?: AccessToken): Promise<ModelSummary> {
    return this.#exclusive(onProgress, async (signal) => {
      const manifest = await this.store.getManifest(id);
      if (!manifest) throw modelNotFound(id);
      const { name, source: kind, sourceUrl } = manifest;
      if (kind === 'file' || sourceUrl === undefined) {
        throw new MixtabError(
          'bad-request',
          `${name} came from a local file, which this page cannot open by itself.`,
          'Import the same file again: only the damaged records are written again.',
        );
      }
      const source: ModelSource =
        kind === 'url' ? { kind, url: sourceUrl, ...(access && { access }) } : { kind, url: sourceUrl };
      return repairModel(await this.#openInputs(source, signal, onProgress), manifest);
    });
  }

  /**
   * Removes the model before its sessions. If this is interrupted, its sessions are removed as the oldest ones later.
   */
  async remove(id: string): Promise<void> {
    await this.store.removeModel(id);
    const sessions = await this.sessionStore.list();
    await this.removeSessions(sessions.filter(({ modelId }) => modelId === id).map((session) => session.id));
  }

  sessions(): Promise<StoredSession[]> {
    return this.sessionStore.list();
  }

  async removeSessions(ids: readonly string[]): Promise<void> {
    for (const id of ids) await this.sessionStore.remove(id);
  }

  verify(id: string, onProgress: (progress: ImportProgress) => void): Promise<string[]> {
    return verifyModel(this.store, id, onProgress);
  }

  async inspect(source: ModelSource): Promise<ModelInspection> {
    return inspectFile(await openSource(source));
  }

  async #openInputs(
    source: ModelSource,
    signal: AbortSignal,
    onProgress: ImportInputs['onProgress'],
  ): Promise<ImportInputs> {
    let last: ImportProgress | undefined;
    const onOutage = (cause: string | undefined): void => {
      if (last) onProgress(cause === undefined ? last : { ...last, warning: outageWarning(cause) });
    };
    return {
      store: this.store,
      source: await openSource(source, { signal, onOutage }),
      kind: source.kind,
      ...(source.kind !== 'file' && { sourceUrl: source.url }),
      signal,
      preflight: checkSpace,
      onProgress: (progress) => {
        last = progress;
        onProgress(progress);
      },
    };
  }

  /**
   * Runs `work` while no other import runs, in this tab or another one.
   * @throws MixtabError `busy` if this tab is already importing; `aborted`
   */
  async #exclusive<T>(onProgress: ImportInputs['onProgress'], work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#running)
      throw new MixtabError('busy', 'Another import is running.', 'Wait until it is done, or cancel it.');
    const running = new AbortController();
    this.#running = running;
    try {
      if ((await navigator.locks.query()).held?.some(({ name }) => name === IMPORT_LOCK)) onProgress(WAITING);
      return await navigator.locks.request(IMPORT_LOCK, { signal: running.signal }, () => work(running.signal));
    } catch (error) {
      // The lock request rejects with the abort reason, which is not an error if the import is paused.
      throw error === PAUSE ? aborted('Paused.') : error;
    } finally {
      this.#running = undefined;
    }
  }

  /** Removes the records of imports that cannot be resumed: those of another layout version or without a journal. */
  async #removeLeftovers(): Promise<void> {
    const journals = await this.store.listJournals();
    const resumable = new Set(
      journals.filter(({ layoutVersion }) => layoutVersion === LAYOUT_VERSION).map(({ id }) => id),
    );
    for (const id of await this.store.listLeftovers()) if (!resumable.has(id)) await this.store.removeModel(id);
  }
}

const outageWarning = (cause: string): string =>
  `Waiting for the network (${cause}). The import continues by itself; what is stored is kept.`;

async function openSource(source: ModelSource, options: HttpOptions = {}): Promise<ByteSource> {
  if (source.kind === 'url') {
    return openUrl(source.url, { ...options, ...(source.access && { access: source.access }) });
  }
  if (source.kind === 'builtin') return new BufferedByteSource(await openUrl(source.url, options));
  return openFiles(
    source.files.map((file) => ({ blob: file, name: file.name })),
    options.signal,
  );
}

/**
 * Compares the size of an import with the free space, before its first record is stored.
 * @returns a warning if the space may be too small
 * @throws MixtabError `storage-full` if it certainly is
 */
async function checkSpace(bytes: number): Promise<string | undefined> {
  const free = await estimateFreeBytes();
  const verdict = judgeSpace(bytes, free);
  if (verdict === 'refuse') throw storageFull(bytes, free);
  if (verdict === 'enough') return undefined;
  return `${formatBytes(bytes)} are needed. The browser reports ${formatBytes(free ?? 0)} free, but may have more.`;
}
