/** The import worker's API: one import or repair at a time, with cancelling, pausing, and clean-up after crashes. */
import type { AccessToken } from '../../src/contract/access-token.ts';
import { aborted, MixtabError, throwIfAborted } from '../../src/contract/errors.ts';
import { formatBytes } from '../../src/contract/format-bytes.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import type {
  BuiltinSource,
  ImportApi,
  ImportOptions,
  ImportProgress,
  ModelInspection,
  ModelSource,
  ModelSummary,
  RepairOptions,
  StoredSession,
  UnfinishedImport,
} from '../../src/contract/import-api.ts';
import { duringDiskCall } from '../../src/contract/worker-life.ts';
import { inspectFile } from '../format/gguf/inspect.ts';
import type { ModelManifest } from '../format/manifest.ts';
import { LAYOUT_VERSION } from '../format/weight-layout.ts';
import { abortable } from '../store/abortable.ts';
import { summarize } from '../store/catalog.ts';
import { HandOverSender, MAX_HAND_OVER_BYTES } from '../store/hand-over.ts';
import { makingRoom } from '../store/making-room.ts';
import { unlessWritten, whileWriting } from '../store/model-lock.ts';
import { opfsSupported, opfsWorks } from '../store/opfs-files.ts';
import type { ReadProgress } from '../store/read-progress.ts';
import { IMPORT_LOCK, RecordRequests } from '../store/record-requests.ts';
import { SessionStore } from '../store/session-store.ts';
import { storageFull } from '../store/storage-errors.ts';
import { estimateFreeBytes, judgeSpace } from '../store/storage-space.ts';
import type { RecordStore } from '../store/store.ts';
import { BufferedByteSource } from './buffered-byte-source.ts';
import { sumBytes } from './build-record.ts';
import type { ByteSource } from './byte-source.ts';
import { openDownloading } from './downloaded-byte-source.ts';
import type { HttpOptions } from './http-byte-source.ts';
import { HttpStatusError } from './http-request.ts';
import { DISCARD, type ImportInputs } from './import-inputs.ts';
import { importModel } from './importer.ts';
import { openFiles, openUrl } from './model-source.ts';
import { PrefetchedDownload } from './prefetched-download.ts';
import { repairModel } from './repair.ts';
import { type Attempt, STALLED, type StallOptions, withStallWatch } from './stall-watch.ts';
import { STORING } from './store-records.ts';
import { modelNotFound, verifyModel } from './verify.ts';

const WAITING: ImportProgress = {
  phase: 'header',
  bytesDone: 0,
  bytesTotal: 0,
  recordsDone: 0,
  recordsTotal: 0,
  warning: 'Another tab is importing a model. This import starts when that one is done.',
};

/** The abort reason of an import that keeps what is stored. */
const PAUSE = 'pause';

/** Options of {@link ImportService}, all with a default. */
export interface ImportServiceOptions extends Pick<StallOptions, 'patienceMs'> {
  sessions?: SessionStore;
  /** Gives records to the page's engine. */
  handOvers?: HandOverSender;
  /** What the store notes when a read gets something. */
  readProgress?: ReadProgress;
}

/** What each attempt of an import or a repair gets. */
type WatchedInputs = ImportInputs & Required<Pick<ImportInputs, 'lock' | 'activity'>>;

/** One attempt, which can open its source once. The source is closed with the attempt. */
interface WatchedAttempt extends Attempt {
  open: (source: ModelSource) => Promise<WatchedInputs>;
}

/** Implements {@link ImportApi}: one import or repair at a time, in all tabs together. */
export class ImportService implements ImportApi {
  #running: { name: string | undefined; controller: AbortController } | undefined;
  #prefetched: PrefetchedDownload | undefined;

  readonly #sessionStore: SessionStore;
  readonly #handOvers: HandOverSender;
  readonly #readProgress: ReadProgress | undefined;
  readonly #stallOptions: Pick<StallOptions, 'patienceMs'>;

  constructor(
    private readonly store: RecordStore,
    { sessions, handOvers, readProgress, ...stallOptions }: ImportServiceOptions = {},
  ) {
    this.#sessionStore = sessions ?? new SessionStore();
    this.#handOvers = handOvers ?? new HandOverSender();
    this.#readProgress = readProgress;
    this.#stallOptions = stallOptions;
  }

  async list(): Promise<ModelSummary[]> {
    return (await this.store.listManifests()).map(summarize);
  }

  async prefetch(source?: BuiltinSource): Promise<void> {
    this.#prefetched?.drop();
    this.#prefetched = source && new PrefetchedDownload(source.url, MAX_HAND_OVER_BYTES);
  }

  async import(
    source: ModelSource,
    onProgress: (progress: ImportProgress) => void,
    { storage, name, embedder }: ImportOptions = {},
  ): Promise<ModelSummary> {
    if (storage === 'opfs' && !opfsSupported()) {
      throw new MixtabError(
        'storage-unavailable',
        'This browser has no private file system for workers.',
        'Store new models in IndexedDB instead.',
      );
    }
    return this.#exclusive(onProgress, name, async (signal) => {
      const requests = new RecordRequests();
      try {
        return await this.#watched(signal, onProgress, async ({ open }) => {
          const inputs = await open(source);
          await inputs.activity.during('removing what other imports left', () => this.#removeLeftovers(inputs));
          return importModel({
            ...inputs,
            ...(storage && { storage }),
            filesWork: () => opfsWorks(duringDiskCall),
            ...(embedder !== undefined && { embedder }),
            requests,
            handOvers: this.#handOvers,
          });
        });
      } finally {
        requests.close();
      }
    });
  }

  async cancel(name?: string): Promise<void> {
    this.#stop(name, DISCARD);
  }

  async pause(name?: string): Promise<void> {
    this.#stop(name, PAUSE);
  }

  #stop(name: string | undefined, reason: string): void {
    if (name === undefined || this.#running?.name === name) this.#running?.controller.abort(reason);
  }

  async unfinished(): Promise<UnfinishedImport[]> {
    const journals = await this.store.listJournals();
    return Promise.all(
      journals.map(async ({ id, name, origin, sourceUrl, embedder, bytesTotal, records }) => ({
        id,
        name,
        origin,
        ...(sourceUrl !== undefined && { sourceUrl }),
        bytesTotal,
        bytesDone: sumBytes(records),
        ...(embedder !== undefined && { embedder }),
        usable: (await this.store.getPartial(id)) !== undefined,
      })),
    );
  }

  repair(
    id: string,
    onProgress: (progress: ImportProgress) => void,
    { access, name: repairName }: RepairOptions = {},
  ): Promise<ModelSummary> {
    return this.#exclusive(onProgress, repairName, (signal) =>
      this.#watched(signal, onProgress, async ({ signal: ended, activity, open }) => {
        const found = activity.during('reading what is stored', () => this.store.getManifest(id));
        const manifest = await abortable(ended, found);
        if (!manifest) throw modelNotFound(id);
        const inputs = await open(sourceToRepair(manifest, access));
        return inputs.lock(id, () => repairModel(inputs, manifest));
      }),
    );
  }

  /**
   * Removes the model before its sessions. If this is interrupted, its sessions are removed as the oldest ones later.
   * @throws MixtabError `busy` if the model is being imported or repaired, in any tab
   */
  async remove(id: string): Promise<void> {
    await unlessWritten(id, () => this.store.removeModel(id));
    const sessions = await this.#sessionStore.list();
    await this.removeSessions(sessions.filter(({ modelId }) => modelId === id).map((session) => session.id));
  }

  sessions(): Promise<StoredSession[]> {
    return this.#sessionStore.list();
  }

  async removeSessions(ids: readonly string[]): Promise<void> {
    for (const id of ids) await this.#sessionStore.remove(id);
  }

  verify(id: string, onProgress: (progress: ImportProgress) => void): Promise<string[]> {
    return verifyModel(this.store, id, onProgress, this.#readProgress && { progress: this.#readProgress });
  }

  async inspect(source: ModelSource): Promise<ModelInspection> {
    return inspectFile(await openSource(source, {}, INSPECTION_MS));
  }

  /** Runs an import or a repair, again and again if it makes no progress. */
  #watched<T>(
    signal: AbortSignal,
    onProgress: ImportInputs['onProgress'],
    work: (attempt: WatchedAttempt) => Promise<T>,
  ): Promise<T> {
    let last: ImportProgress = WAITING;
    const warn = (warning: string | undefined): void => {
      const { warning: _previous, ...rest } = last;
      onProgress({ ...rest, ...(warning !== undefined && { warning }) });
    };
    return withStallWatch(
      async (attempt) => {
        const report = (progress: ImportProgress): void => {
          if (attempt.signal.reason === STALLED) return;
          attempt.activity.progress();
          last = progress;
          onProgress(progress);
        };
        let opened: WatchedInputs | undefined;
        const open = async (source: ModelSource): Promise<WatchedInputs> => {
          opened = await this.#openInputs(source, attempt, report, warn);
          return opened;
        };
        try {
          return await work({ ...attempt, open });
        } finally {
          opened?.source.close?.();
        }
      },
      { signal, onStall: (seconds, step) => warn(stallWarning(seconds, step)), ...this.#stallOptions },
    );
  }

  async #openInputs(
    source: ModelSource,
    { signal, activity }: Attempt,
    onProgress: ImportInputs['onProgress'],
    warn: (warning: string | undefined) => void,
  ): Promise<WatchedInputs> {
    const onOutage = (cause: string | undefined): void => {
      activity.progress(); // it waits for a reason that is known
      warn(cause === undefined ? undefined : outageWarning(cause));
    };
    const options = { signal, onOutage, onData: activity.progress };
    const open = (): Promise<ByteSource> =>
      source.kind === 'builtin' ? ofThisSite(this.#openBuiltin(source, options)) : openSource(source, options);
    return {
      store: makingRoom(this.store, () => this.#removeAllSessions()),
      ...(this.#readProgress && { readProgress: this.#readProgress }),
      source: await activity.during('opening the file', open),
      kind: source.kind,
      ...(source.kind !== 'file' && { sourceUrl: source.url }),
      signal,
      activity,
      lock: (id, work) => whileWriting(id, work, signal),
      preflight: (bytes) => this.#checkSpace(bytes),
      onProgress,
    };
  }

  /** Downloads the whole file, unless some of it is stored: then most of it is not needed. */
  async #openBuiltin(source: BuiltinSource, options: HttpOptions): Promise<ByteSource> {
    const prefetched = this.#prefetched;
    if (prefetched?.url === source.url) {
      this.#prefetched = undefined;
      return prefetched.take(options);
    }
    const [manifests, journals] = await Promise.all([this.store.listManifests(), this.store.listJournals()]);
    const isKnown = [...manifests, ...journals].some(({ sourceUrl }) => sourceUrl === source.url);
    return isKnown ? openSource(source, options) : openDownloading(source.url, MAX_HAND_OVER_BYTES, options);
  }

  /**
   * Runs `work` while no other import runs, in this tab or another one.
   * @throws MixtabError `busy` if this tab is already importing; `aborted`, `insecure-context`
   */
  async #exclusive<T>(
    onProgress: ImportInputs['onProgress'],
    name: string | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    requireSecureContext();
    if (this.#running)
      throw new MixtabError('busy', 'Another import is running.', 'Wait until it is done, or cancel it.');
    const controller = new AbortController();
    const { signal } = controller;
    this.#running = { name, controller };
    try {
      if ((await navigator.locks.query()).held?.some((lock) => lock.name === IMPORT_LOCK)) onProgress(WAITING);
      return await navigator.locks.request(IMPORT_LOCK, { signal }, () => work(signal));
    } catch (error) {
      // The lock request rejects with the abort reason, which is no error.
      throw signal.aborted && error === signal.reason ? aborted() : error;
    } finally {
      this.#running = undefined;
    }
  }

  /**
   * Compares the size of an import with the free space, before its first record is stored. Saved sessions give way.
   * @returns a warning if the space may be too small
   * @throws MixtabError `storage-full` if it certainly is
   */
  async #checkSpace(bytes: Bytes): Promise<string | undefined> {
    let free = await estimateFreeBytes();
    if (judgeSpace(bytes, free) === 'refuse' && (await this.#removeAllSessions())) free = await estimateFreeBytes();
    const verdict = judgeSpace(bytes, free);
    if (verdict === 'refuse') throw storageFull(bytes, free);
    if (verdict === 'enough') return undefined;
    return `${formatBytes(bytes)} are needed. The browser reports ${formatBytes(free ?? 0)} free, but may have more.`;
  }

  /** @returns whether there were any */
  #removeAllSessions(): Promise<boolean> {
    return this.#sessionStore.removeAll();
  }

  /**
   * Removes the records of imports that cannot be resumed: those of another layout version or without a journal. An
   * attempt that was given up removes nothing more, because the next one may write the same model.
   */
  async #removeLeftovers({ signal, lock }: WatchedInputs): Promise<void> {
    const [journals, leftovers] = await Promise.all([this.store.listJournals(), this.store.listLeftovers()]);
    const resumable = new Set(
      journals.filter(({ layoutVersion }) => layoutVersion === LAYOUT_VERSION).map(({ id }) => id),
    );
    for (const id of leftovers) {
      if (resumable.has(id)) continue;
      throwIfAborted(signal);
      await lock(id, () => this.store.removeModel(id));
    }
  }
}

/** @throws MixtabError `bad-request` if the page cannot open the source of the model by itself */
function sourceToRepair({ name, source: kind, sourceUrl: url }: ModelManifest, access?: AccessToken): ModelSource {
  if (kind === 'file' || url === undefined) {
    throw new MixtabError(
      'bad-request',
      `${name} came from a local file, which this page cannot open by itself.`,
      'Import the same file again: only the damaged records are written again.',
    );
  }
  return kind === 'url' ? { kind, url, ...(access && { access }) } : { kind, url };
}

/** Chromium may never end a write to a full disk, so only the user can find out (docs/reliability.md). */
const stallWarning = (seconds: number, step = 'preparing'): string => {
  const remedy = step === STORING ? ' If the disk is full, free some space.' : '';
  return `No progress for ${seconds} s while ${step}. Trying again; what is stored is kept.${remedy}`;
};

const outageWarning = (cause: string): string =>
  `Waiting for the network (${cause}). The import continues by itself; what is stored is kept.`;

/** The built-in model's file, whose address the user cannot change. */
async function ofThisSite(opened: Promise<ByteSource>): Promise<ByteSource> {
  try {
    return await opened;
  } catch (error) {
    if (!(error instanceof HttpStatusError)) throw error;
    throw new MixtabError(error.code, error.message, 'This site lacks its own model. Import another one.');
  }
}

/** How long a local file may take to answer one read of its header. Imports have a watch of their own. */
const INSPECTION_MS = 60_000;

/** @param fileMs see {@link openFiles} */
async function openSource(source: ModelSource, options: HttpOptions = {}, fileMs?: number): Promise<ByteSource> {
  if (source.kind === 'url') {
    return openUrl(source.url, { ...options, ...(source.access && { access: source.access }) });
  }
  if (source.kind === 'builtin') return new BufferedByteSource(await openUrl(source.url, options));
  return openFiles(
    source.files.map((file) => ({ blob: file, name: file.name })),
    { signal: options.signal, patienceMs: fileMs },
  );
}

/**
 * Over plain http, browsers offer neither locks nor hashes.
 * @throws MixtabError `insecure-context`
 */
function requireSecureContext(): void {
  if (globalThis.navigator?.locks && globalThis.crypto?.subtle) return;
  throw new MixtabError(
    'insecure-context',
    'This page was loaded over plain http, so the browser does not let it store models safely.',
    'Open it by https, or by http://localhost on this computer.',
  );
}
