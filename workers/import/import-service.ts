/** The import worker's side of the contract: one import at a time, cancel, clean-up of imports that never ended. */
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
import type { ByteSource } from './byte-source.ts';
import type { HttpOptions } from './http-byte-source.ts';
import { type ImportInputs, importModel, PAUSE, repairModel, verifyModel } from './importer.ts';
import { openFiles, openUrl } from './model-source.ts';

const WAITING: ImportProgress = {
  phase: 'header',
  bytesDone: 0,
  bytesTotal: 0,
  recordsDone: 0,
  recordsTotal: 0,
  warning: 'Another tab is importing a model. This one begins when that is done.',
};

export class ImportService implements ImportApi {
  #running: AbortController | undefined;

  constructor(
    private readonly store: RecordStore,
    private readonly kept = new SessionStore(),
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
      const inputs = await this.#inputs(source, signal, onProgress);
      const requests = new RecordRequests();
      try {
        return await importModel({ ...inputs, ...(storage && { storage: storage }), requests });
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
        bytesDone: records.reduce((sum, { bytes }) => sum + bytes, 0),
        usable: (await this.store.getPartial(id)) !== undefined,
      })),
    );
  }

  repair(id: string, onProgress: (progress: ImportProgress) => void, access?: AccessToken): Promise<ModelSummary> {
    return this.#exclusive(onProgress, async (signal) => {
      const manifest = await this.store.getManifest(id);
      if (!manifest) throw new MixtabError('model-not-found', `No model ${id} is stored.`);
      const { name, source: kind, sourceUrl } = manifest;
      if (kind === 'file' || sourceUrl === undefined) {
        throw new MixtabError(
          'bad-request',
          `${name} came from a local file.`,
          'Import the same file again: only what is damaged is written anew.',
        );
      }
      const source: ModelSource =
        kind === 'url' ? { kind, url: sourceUrl, ...(access && { access }) } : { kind, url: sourceUrl };
      return repairModel(await this.#inputs(source, signal, onProgress), manifest);
    });
  }

  /** The model first: what is left of its sessions, should this be cut off, goes with the oldest. */
  async remove(id: string): Promise<void> {
    await this.store.removeModel(id);
    const sessions = await this.kept.list();
    await this.removeSessions(sessions.filter(({ modelId }) => modelId === id).map((session) => session.id));
  }

  sessions(): Promise<StoredSession[]> {
    return this.kept.list();
  }

  async removeSessions(ids: readonly string[]): Promise<void> {
    for (const id of ids) await this.kept.remove(id);
  }

  verify(id: string, onProgress: (progress: ImportProgress) => void): Promise<string[]> {
    return verifyModel(this.store, id, onProgress);
  }

  async inspect(source: ModelSource): Promise<ModelInspection> {
    return inspectFile(await openSource(source));
  }

  async #inputs(
    source: ModelSource,
    signal: AbortSignal,
    onProgress: ImportInputs['onProgress'],
  ): Promise<ImportInputs> {
    let last: ImportProgress | undefined;
    const onOutage = (cause: string | undefined): void => {
      if (last)
        onProgress(
          cause === undefined
            ? last
            : { ...last, warning: `Waiting for the network (${cause}). It goes on by itself; what is there is kept.` },
        );
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

  async #exclusive<T>(onProgress: ImportInputs['onProgress'], work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#running)
      throw new MixtabError('busy', 'Another import is running.', 'Wait until it is done, or cancel it.');
    const running = new AbortController();
    this.#running = running;
    try {
      if ((await navigator.locks.query()).held?.some(({ name }) => name === IMPORT_LOCK)) onProgress(WAITING);
      return await navigator.locks.request(IMPORT_LOCK, { signal: running.signal }, () => work(running.signal));
    } catch (error) {
      // What the lock rejects with is the reason of the abort, which may be no error.
      throw error === PAUSE ? aborted('Paused.') : error;
    } finally {
      this.#running = undefined;
    }
  }

  /** Records of imports that cannot go on: of another layout, or without a journal. */
  async #removeLeftovers(): Promise<void> {
    const journals = await this.store.listJournals();
    const canGoOn = new Set(
      journals.filter(({ layoutVersion }) => layoutVersion === LAYOUT_VERSION).map(({ id }) => id),
    );
    for (const id of await this.store.listLeftovers()) if (!canGoOn.has(id)) await this.store.removeModel(id);
  }
}

async function openSource(source: ModelSource, options: HttpOptions = {}): Promise<ByteSource> {
  if (source.kind === 'url')
    return openUrl(source.url, { ...options, ...(source.access && { access: source.access }) });
  if (source.kind === 'builtin') return new BufferedByteSource(await openUrl(source.url, options));
  return openFiles(
    source.files.map((file) => ({ blob: file, name: file.name })),
    options.signal,
  );
}

/**
 * Fails before the first byte where the space will not do.
 * @returns a warning where it may not
 */
async function checkSpace(bytes: number): Promise<string | undefined> {
  const free = await estimateFreeBytes();
  const verdict = judgeSpace(bytes, free);
  if (verdict === 'refuse') throw storageFull(bytes, free);
  if (verdict === 'enough') return undefined;
  return `${formatBytes(bytes)} are needed; the browser promises ${formatBytes(free ?? 0)}, though it may have more.`;
}
