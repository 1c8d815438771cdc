/**
 * How an engine asks the running import for the records that it needs next. The two are in separate workers, perhaps of
 * different tabs, so they talk over a channel of the page's origin.
 */
import { MixtabError, throwIfAborted } from '../../src/contract/errors.ts';
import type { RecordInfo } from '../format/manifest.ts';
import type { RecordParts } from '../format/record-parts.ts';
import type { ReadForm, RecordStore } from './store.ts';

/** Held during an import, so that another tab does not remove our unfinished records as leftovers. */
export const IMPORT_LOCK = 'mixtab-import';
const CHANNEL = 'mixtab-records';
/** How long an import waits for the next request while the model is in use, before it chooses a record itself. */
const REQUEST_WAIT_MS = 50;
/** A model counts as in use for this long after a request. */
const IN_USE_MS = 10_000;
/** How often a waiting engine checks that the import still runs: a terminated worker sends no last message. */
const POLL_MS = 1000;

/** Tabs that run different versions of the page share the channel, so these names stay. */
type Message =
  /** `unwanted` withdraws a `want`. Others that wait for the same record ask again within POLL_MS. */
  | { type: 'want' | 'unwanted' | 'stored'; modelId: string; key: string }
  /** Keys of experts by their likelihood, the likeliest first. */
  | { type: 'likely'; modelId: string; keys: string[] };

/** The import's side: which record to import next. Ends with {@link close}. */
export class RecordRequests {
  readonly #channel = new BroadcastChannel(CHANNEL);
  /** `<model id>/<record key>` of the requested records, oldest request first. */
  readonly #requested = new Set<string>();
  /** Keys of experts, likeliest first, stored or not. */
  #likely: { modelId: string; keys: readonly string[] } = { modelId: '', keys: [] };
  #lastRequestAt = Number.NEGATIVE_INFINITY;
  #wake = (): void => {};

  constructor() {
    this.#channel.onmessage = ({ data }: MessageEvent<Message>) => {
      if (data.type === 'likely') this.#likely = data;
      if (data.type === 'unwanted') this.#requested.delete(`${data.modelId}/${data.key}`);
      if (data.type !== 'want') return;
      this.#requested.add(`${data.modelId}/${data.key}`);
      this.#lastRequestAt = performance.now();
      this.#wake();
    };
  }

  /**
   * Chooses the next record: the oldest request, else the likeliest expert.
   * @param remaining keys of the records that are still to be imported
   * @returns undefined if nothing is known about any of them
   */
  async next(modelId: string, remaining: ReadonlySet<string>): Promise<string | undefined> {
    const requested = this.#oldestRequest(modelId, remaining);
    if (requested !== undefined) return requested;
    if (performance.now() - this.#lastRequestAt > IN_USE_MS) return this.#likeliest(modelId, remaining);
    // The engine continues with the record stored last, and will soon ask for another one.
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, REQUEST_WAIT_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    return this.#oldestRequest(modelId, remaining) ?? this.#likeliest(modelId, remaining);
  }

  #likeliest(modelId: string, remaining: ReadonlySet<string>): string | undefined {
    return this.#likely.modelId === modelId ? this.#likely.keys.find((key) => remaining.has(key)) : undefined;
  }

  #oldestRequest(modelId: string, remaining: ReadonlySet<string>): string | undefined {
    for (const name of this.#requested) {
      const key = name.slice(modelId.length + 1);
      if (name.startsWith(`${modelId}/`) && remaining.has(key)) return key;
    }
    return undefined;
  }

  /** Notifies those who wait that a record is stored. */
  stored(modelId: string, key: string): void {
    this.#requested.delete(`${modelId}/${key}`);
    this.#channel.postMessage({ type: 'stored', modelId, key } satisfies Message);
  }

  close(): void {
    this.#channel.close();
  }
}

/** The engine's side: publishes which experts it will probably need. Ends with {@link close}. */
export class LikelyRecords {
  readonly #channel = new BroadcastChannel(CHANNEL);

  constructor(readonly modelId: string) {}

  /** @param keys likeliest first */
  publish(keys: string[]): void {
    this.#channel.postMessage({ type: 'likely', modelId: this.modelId, keys } satisfies Message);
  }

  close(): void {
    this.#channel.close();
  }
}

/**
 * Asks the running import for a record, and waits until it is stored.
 * @param signal cancels the wait; the import is notified that the record is no longer needed
 * @returns the record's description, with its hash
 * @throws MixtabError `record-missing` if no import is running; `aborted`
 */
export async function awaitRecord(
  store: RecordStore,
  modelId: string,
  key: string,
  signal?: AbortSignal,
): Promise<RecordInfo> {
  const channel = new BroadcastChannel(CHANNEL);
  let wake = (): void => {};
  channel.onmessage = ({ data }: MessageEvent<Message>) => {
    if (data.type === 'stored' && data.modelId === modelId && data.key === key) wake();
  };
  const wakeOnAbort = (): void => wake();
  signal?.addEventListener('abort', wakeOnAbort);
  try {
    for (;;) {
      throwIfAborted(signal);
      const info = await findStoredRecord(store, modelId, key);
      if (info) return info;
      if (!(await isImportRunning())) {
        // The import may have stored it and ended between the two checks.
        const late = await findStoredRecord(store, modelId, key);
        if (late) return late;
        throw notDownloaded(key);
      }
      channel.postMessage({ type: 'want', modelId, key } satisfies Message);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, POLL_MS);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  } finally {
    signal?.removeEventListener('abort', wakeOnAbort);
    if (signal?.aborted) channel.postMessage({ type: 'unwanted', modelId, key } satisfies Message);
    channel.close();
  }
}

/** Waits until no import is running, however it ends. */
export async function importEnded(): Promise<void> {
  await navigator.locks.request(IMPORT_LOCK, { mode: 'shared' }, () => {});
}

/**
 * Reads a record in the given form, and checks it. A record that is still to be imported is waited for.
 * @throws MixtabError see {@link awaitRecord} and {@link RecordStore.readPartsVerified}
 */
export async function readWhenStored(
  store: RecordStore,
  modelId: string,
  record: RecordInfo,
  signal?: AbortSignal,
  form?: ReadForm,
): Promise<RecordParts> {
  const stored = record.sha256 === '' ? await awaitRecord(store, modelId, record.key, signal) : record;
  return store.readPartsVerified(modelId, stored, signal, form);
}

async function findStoredRecord(store: RecordStore, modelId: string, key: string): Promise<RecordInfo | undefined> {
  const known = (await store.getJournal(modelId)) ?? (await store.getManifest(modelId));
  return known?.records.find((record) => record.key === key && record.sha256 !== '');
}

async function isImportRunning(): Promise<boolean> {
  const { held = [] } = await navigator.locks.query();
  return held.some(({ name }) => name === IMPORT_LOCK);
}

const notDownloaded = (key: string): MixtabError =>
  new MixtabError(
    'record-missing',
    `The weights ${key} have not been downloaded yet, and the download has stopped.`,
    'Resume the download; what is already stored is kept.',
  );
