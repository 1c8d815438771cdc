/**
 * How an engine that runs a model while it is imported asks the import for the records it needs next. The import and
 * the engine are in workers of their own, maybe of different tabs: they talk over a channel of the page's origin.
 */
import { MixtabError, throwIfAborted } from '../../src/contract/errors.ts';
import type { RecordInfo } from '../format/manifest.ts';
import type { RecordParts } from '../format/record-parts.ts';
import type { RecordStore } from './store.ts';

/** Held while importing, so that another tab does not take our unfinished records for leftovers. */
export const IMPORT_LOCK = 'mixtab-import';
const CHANNEL = 'mixtab-records';
/** While somebody uses the model, how long to wait for the next request before another record is begun unasked. */
const PATIENCE_MS = 50;
/** Who has asked so recently uses the model. */
const IN_USE_MS = 10_000;
/** How often to look whether the import is still there: a worker that is ended says no farewell. */
const LOOK_MS = 1000;

type Message =
  /** `unwanted`: whoever else waits for it will ask again. */
  | { type: 'want' | 'unwanted' | 'stored'; modelId: string; key: string }
  /** What may be wanted, likeliest first. */
  | { type: 'likely'; modelId: string; keys: string[] };

/** The import's side. */
export class RecordRequests {
  readonly #channel = new BroadcastChannel(CHANNEL);
  /** Keys asked for, oldest first. */
  readonly #wanted = new Set<string>();
  /** What the model's routers find likely, likeliest first, whether it is stored or not. */
  #likely: { modelId: string; keys: readonly string[] } = { modelId: '', keys: [] };
  #lastAsked = Number.NEGATIVE_INFINITY;
  #wake = (): void => {};

  constructor() {
    this.#channel.onmessage = ({ data }: MessageEvent<Message>) => {
      if (data.type === 'likely') this.#likely = data;
      if (data.type === 'unwanted') this.#wanted.delete(`${data.modelId}/${data.key}`);
      if (data.type !== 'want') return;
      this.#wanted.add(`${data.modelId}/${data.key}`);
      this.#lastAsked = performance.now();
      this.#wake();
    };
  }

  /**
   * The record of `left` that was asked for first; where none was, the one that the model's routers find likeliest; undefined where
   * they have said nothing of any.
   */
  async next(modelId: string, left: ReadonlySet<string>): Promise<string | undefined> {
    const wanted = this.#find(modelId, left);
    if (wanted !== undefined) return wanted;
    if (performance.now() - this.#lastAsked > IN_USE_MS) return this.#likeliest(modelId, left);
    // What was stored last lets the engine go on, and it will ask again in a moment.
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, PATIENCE_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    return this.#find(modelId, left) ?? this.#likeliest(modelId, left);
  }

  #likeliest(modelId: string, left: ReadonlySet<string>): string | undefined {
    return this.#likely.modelId === modelId ? this.#likely.keys.find((key) => left.has(key)) : undefined;
  }

  #find(modelId: string, left: ReadonlySet<string>): string | undefined {
    for (const name of this.#wanted) {
      const key = name.slice(modelId.length + 1);
      if (name.startsWith(`${modelId}/`) && left.has(key)) return key;
    }
    return undefined;
  }

  stored(modelId: string, key: string): void {
    this.#wanted.delete(`${modelId}/${key}`);
    this.#channel.postMessage({ type: 'stored', modelId, key } satisfies Message);
  }

  close(): void {
    this.#channel.close();
  }
}

/** The engine's word to the import on what it may ask for. */
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
 * Waits until the running import has stored a record, which it is asked to do next.
 * @param signal ends the waiting; the import is told that the record is not wanted any more
 * @returns what the record turned out to be
 * @throws MixtabError `record-missing` where no import is running; `aborted`
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
      const info = await findRecord(store, modelId, key);
      if (info) return info;
      if (!(await importRunning())) {
        // It may have ended between the two looks.
        const late = await findRecord(store, modelId, key);
        if (late) return late;
        throw new MixtabError(
          'record-missing',
          `The weights ${key} have not been downloaded yet, and the download has stopped.`,
          'Go on with the download; what is there is kept.',
        );
      }
      channel.postMessage({ type: 'want', modelId, key } satisfies Message);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, LOOK_MS);
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
 * A record's bytes, verified; one that is still to be imported is waited for.
 * @throws MixtabError as {@link awaitRecord} and {@link RecordStore.readPartsVerified}
 */
export async function readWhenStored(
  store: RecordStore,
  modelId: string,
  record: RecordInfo,
  signal?: AbortSignal,
): Promise<RecordParts> {
  const stored = record.sha256 === '' ? await awaitRecord(store, modelId, record.key, signal) : record;
  return store.readPartsVerified(modelId, stored, signal);
}

async function findRecord(store: RecordStore, modelId: string, key: string): Promise<RecordInfo | undefined> {
  const known = (await store.getJournal(modelId)) ?? (await store.getManifest(modelId));
  return known?.records.find((record) => record.key === key && record.sha256 !== '');
}

async function importRunning(): Promise<boolean> {
  const { held = [] } = await navigator.locks.query();
  return held.some(({ name }) => name === IMPORT_LOCK);
}
