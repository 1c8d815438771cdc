/**
 * Gives an engine the records of a small model from the memory of the import that has just stored them, so that it need
 * not read them back. Only within one page: see docs/import.md#hand-over. What is not handed over is read from the store.
 */
import { MixtabError, throwIfAborted } from '../../src/contract/errors.ts';
import type { HandOverEnd } from '../../src/contract/hand-over.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import type { ModelManifest, RecordInfo } from '../format/manifest.ts';
import { onePart, type RecordParts } from '../format/record-parts.ts';
import type { RecordSlice } from '../format/slices.ts';
import { abortable } from './abortable.ts';
import { BufferPool, takeSlices } from './buffer-pool.ts';
import { isAllocationFailure } from './record-errors.ts';
import type { RecordReader } from './record-reader.ts';

/** Larger models are not handed over: their records would take memory in addition to what was promised. */
export const MAX_HAND_OVER_BYTES: Bytes = 64e6;
/** How long records wait for an engine after their import. The page loads a new model at once, or not at all. */
const HOLD_MS = 5000;
/** How long an engine waits for an answer of the import worker, which may be busy or may have been ended. */
const OFFER_WAIT_MS = 2000;
/** Memory that is used again while records are cut into slices. */
const SLICE_BUFFER_BYTES: Bytes = 8e6;

/** A stored record together with its bytes. */
interface HandedOver {
  info: RecordInfo;
  bytes: Uint8Array<ArrayBuffer>;
}

/** From the engine. Each load has a `takeId` of its own: replies to an earlier one may still be on their way. */
type Request = { type: 'take'; takeId: string; modelId: string } | { type: 'release'; takeId: string };

/** From the import. */
type Reply =
  /**
   * The answer to `take`: the records that will follow, some of which are still to be built. With the manifest, the model
   * can be loaded although nothing of it is stored.
   */
  | { type: 'offer'; takeId: string; keys: string[]; manifest?: ModelManifest }
  | ({ type: 'record'; takeId: string } & HandedOver)
  /** No further record follows. */
  | { type: 'end'; takeId: string; complete: boolean };

/** The import's side: one model at a time, the newest. */
export class HandOverSender {
  #offer: HandOverOffer | undefined;

  /** @param end without it, nothing is handed over */
  constructor(
    private readonly end?: HandOverEnd,
    private readonly holdMs = HOLD_MS,
  ) {
    end?.onMessage((request) => this.#receive(request as Request | null));
  }

  /**
   * Begins to hand over a model. Records of an earlier one are dropped.
   * @param records those that will be stored
   * @param manifest of the model, if it can be loaded from what is handed over and what is stored
   * @returns undefined if they are too large, or there is no engine
   */
  begin(
    modelId: string,
    records: readonly Pick<RecordInfo, 'key' | 'bytes'>[],
    manifest?: ModelManifest,
  ): HandOverOffer | undefined {
    this.#offer?.end(false);
    if (!this.end?.isConnected) return undefined;
    const bytes = records.reduce((sum, record) => sum + record.bytes, 0);
    if (bytes > MAX_HAND_OVER_BYTES) return undefined;
    const offer = new HandOverOffer(
      modelId,
      records.map(({ key }) => key),
      { manifest, post: this.#post, holdMs: this.holdMs, dropped: () => this.#dropped(offer) },
    );
    this.#offer = offer;
    return offer;
  }

  #dropped(offer: HandOverOffer): void {
    if (this.#offer === offer) this.#offer = undefined;
  }

  #receive(request: Request | null): void {
    if (!request) {
      this.#offer?.wait(); // the engine that took it is gone
      return;
    }
    const { takeId } = request;
    if (request.type === 'release') this.#offer?.release(takeId);
    else if (this.#offer?.modelId === request.modelId) this.#offer.take(takeId);
    else this.#post({ type: 'offer', takeId, keys: [] });
  }

  readonly #post = (reply: Reply, buffers?: ArrayBuffer[]): void => this.end?.send(reply, buffers);
}

interface OfferOptions {
  manifest: ModelManifest | undefined;
  post: (reply: Reply, buffers?: ArrayBuffer[]) => void;
  holdMs: number;
  dropped: () => void;
}

/** The records of one import. It keeps those that were added until an engine takes them. */
export class HandOverOffer {
  /** The keys of records that are still to be added. */
  readonly #expected: Set<string>;
  /** Records that wait for an engine, by key. */
  readonly #kept = new Map<string, HandedOver>();
  /** The load that gets the records. */
  #takeId: string | undefined;
  #isDropped = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly modelId: string,
    keys: readonly string[],
    private readonly options: OfferOptions,
  ) {
    this.#expected = new Set(keys);
  }

  /**
   * Hands over a record. Nobody else may use its bytes after this. A record that had to be built again is not handed over
   * again.
   */
  add(info: RecordInfo, bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#isDropped || !this.#expected.delete(info.key)) return;
    this.#kept.set(info.key, { info, bytes });
    this.#sendKept();
  }

  /** An engine is loading the model: it gets what has been added and what will be. */
  take(takeId: string): void {
    this.#takeId = takeId;
    const { manifest, post } = this.options;
    post({ type: 'offer', takeId, keys: [...this.#kept.keys(), ...this.#expected], ...(manifest && { manifest }) });
    this.#sendKept();
    if (this.#timer !== undefined) this.#finish(true);
  }

  /** The engine has not asked for the records yet, or is gone: the next ones wait for another one. */
  wait(): void {
    this.#takeId = undefined;
  }

  /** The load that took the records has ended. */
  release(takeId: string): void {
    if (this.#takeId === takeId) this.drop();
  }

  /**
   * No further record is added, and what was added is the whole model, or the import has failed. If no engine has asked
   * for the records of a complete one yet, they wait for a moment.
   */
  end(complete: boolean): void {
    if (this.#isDropped) return;
    if (this.#takeId !== undefined || !complete) this.#finish(complete);
    else this.#timer ??= setTimeout(() => this.drop(), this.options.holdMs);
  }

  /** Drops the records that nobody took. */
  drop(): void {
    this.#isDropped = true;
    this.#kept.clear();
    clearTimeout(this.#timer);
    this.options.dropped();
  }

  #sendKept(): void {
    const takeId = this.#takeId;
    if (takeId === undefined) return;
    for (const { info, bytes } of this.#kept.values())
      this.options.post({ type: 'record', takeId, info, bytes }, [bytes.buffer]);
    this.#kept.clear();
  }

  #finish(complete: boolean): void {
    if (this.#takeId !== undefined) this.options.post({ type: 'end', takeId: this.#takeId, complete });
    this.drop();
  }
}

/** The engine's side. */
export class HandOverReceiver {
  #taking: HandOver | undefined;

  /** @param end without it, everything is read from the store */
  constructor(
    private readonly end?: HandOverEnd,
    private readonly offerWaitMs = OFFER_WAIT_MS,
  ) {
    end?.onMessage((content) => {
      const reply = content as Reply | null;
      if (!reply)
        this.#taking?.end(false); // the import worker is gone
      else if (this.#taking?.takeId === reply.takeId) this.#taking.receive(reply);
    });
  }

  /**
   * Asks for the records of a model that is about to be loaded. Ends with {@link HandOver.release}.
   * @param signal of the load: ends all waits for records with `aborted`
   */
  take(modelId: string, signal?: AbortSignal): HandOver {
    this.#taking?.release();
    const end = this.end?.isConnected ? this.end : undefined;
    const takeId = `${Date.now()}-${Math.random()}`; // unlike those of an engine before this one, too
    const released = (): void => {
      if (this.#taking === handOver) this.#taking = undefined;
      end?.send({ type: 'release', takeId } satisfies Request);
    };
    const handOver = new HandOver(takeId, released, signal);
    if (end) {
      this.#taking = handOver;
      end.send({ type: 'take', takeId, modelId } satisfies Request);
      setTimeout(() => handOver.giveUp(), this.offerWaitMs);
    } else {
      handOver.end(false);
    }
    return handOver;
  }
}

/** The records of one model on their way to the engine, while it is loaded. */
export class HandOver {
  /** The keys of records that have not been read. undefined: the import has not answered yet. */
  #keys: Set<string> | undefined;
  #manifest: ModelManifest | undefined;
  readonly #arrived = new Map<string, HandedOver>();
  #outcome: 'complete' | 'failed' | undefined;
  #isReleased = false;
  /** Records that were read, and were not stored yet when the model's manifest was read. */
  readonly #early: RecordInfo[] = [];
  /** Each is called once something has changed. */
  #waiting: (() => void)[] = [];
  /** Memory for slices, until this is released. */
  #buffers = new BufferPool(SLICE_BUFFER_BYTES);

  /**
   * @param released called once, by {@link release}
   * @param signal of the load
   */
  constructor(
    readonly takeId: string,
    private readonly released: () => void,
    private readonly signal?: AbortSignal,
  ) {
    signal?.addEventListener('abort', () => this.#wake());
  }

  /** A reader that takes records from here, and those that are not handed over from `reader`. */
  before(reader: RecordReader): RecordReader {
    const openUnlessGiving = (): void => {
      if (!this.#isGiving) reader.open?.();
    };
    this.#answered()
      .then(openUnlessGiving)
      .catch(() => {}); // aborted
    return {
      read: async (modelId, record, signal, form) => {
        // Once the model is loaded, a read is requested at once: before the GPU gets work that it can do meanwhile.
        const arrived = this.#isReleased ? undefined : await this.#read(record, signal, form?.slices);
        return arrived ?? reader.read(modelId, record, signal, form);
      },
      recycle: (record) => {
        if (!this.#isGiving) reader.recycle?.(record);
        else for (const { buffer } of record.parts) this.#buffers.recycle(buffer);
      },
      isArriving: async () => {
        await this.#answered();
        return this.#isGiving;
      },
    };
  }

  /** The manifest of a model that can be loaded although it is not stored yet. @throws MixtabError `aborted` */
  async manifest(): Promise<ModelManifest | undefined> {
    await this.#answered();
    return this.#manifest;
  }

  /**
   * If the records that were read had no hash in the manifest, waits until the import has given all of them: only then is
   * it known that its file was the same all the time. They need not be stored yet.
   * @param stored waits until nothing is imported any more, and returns the model's manifest. It decides if the
   *   hand-over has ended before the import: another attempt of the import may have stored the rest.
   * @throws MixtabError `record-missing` if the import has failed; `aborted`
   */
  async confirm(stored: () => Promise<ModelManifest | undefined>): Promise<void> {
    if (this.#early.length === 0) return;
    await this.#until(() => false);
    if (this.#outcome === 'complete') return;
    const manifest = await (this.signal ? abortable(this.signal, stored()) : stored());
    const hashes = new Map(manifest?.records.map(({ key, sha256 }) => [key, sha256]));
    if (!this.#early.every(({ key, sha256 }) => hashes.get(key) === sha256)) throw importFailed();
  }

  receive(reply: Reply): void {
    if (this.#outcome || this.#isReleased) return;
    if (reply.type === 'offer') [this.#keys, this.#manifest] = [new Set(reply.keys), reply.manifest];
    else if (reply.type === 'record') this.#arrived.set(reply.info.key, reply);
    else this.end(reply.complete);
    this.#wake();
  }

  /** No further record arrives. What has not arrived is read from the store. */
  end(complete: boolean): void {
    this.#outcome ??= complete ? 'complete' : 'failed';
    this.#wake();
  }

  /** Ends this unless the import has answered. */
  giveUp(): void {
    if (!this.#keys && !this.#outcome) this.release();
  }

  /** The model is loaded, or will not be. All records are read from the store from now on. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#arrived.clear();
    this.#buffers = new BufferPool();
    this.end(false);
    this.released();
  }

  /** Whether there are, or will be, records that have not been read. */
  get #isGiving(): boolean {
    return !this.#isReleased && this.#outcome !== 'failed' && (this.#keys?.size ?? 0) > 0;
  }

  async #read(
    record: RecordInfo,
    signal?: AbortSignal,
    slices?: readonly RecordSlice[],
  ): Promise<RecordParts | undefined> {
    const { key } = record;
    await this.#answered(signal);
    await this.#until(() => this.#arrived.has(key) || !this.#keys?.has(key), signal);
    const arrived = this.#arrived.get(key);
    this.#keys?.delete(key);
    this.#arrived.delete(key);
    if (!arrived || !isSame(record, arrived)) return undefined;
    if (record.sha256 === '') this.#early.push(arrived.info);
    const whole = onePart(arrived.bytes);
    try {
      return slices ? takeSlices(whole, slices, this.#buffers) : whole;
    } catch (error) {
      if (!isAllocationFailure(error)) throw error;
      return undefined; // the reader says so if it finds no memory either
    }
  }

  /** Waits until the import has said which records it will give. */
  #answered(signal?: AbortSignal): Promise<void> {
    return this.#until(() => this.#keys !== undefined, signal);
  }

  /** Waits until `isReady` returns true, or this has ended. @throws MixtabError `aborted` */
  async #until(isReady: () => boolean, signal?: AbortSignal): Promise<void> {
    const wake = (): void => this.#wake();
    signal?.addEventListener('abort', wake);
    try {
      for (;;) {
        throwIfAborted(signal);
        if (!this.#isReleased) throwIfAborted(this.signal);
        if (this.#outcome || isReady()) return;
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    } finally {
      signal?.removeEventListener('abort', wake);
    }
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** Whether a record that was handed over is the one that the manifest lists. A record to be stored has no hash there. */
const isSame = ({ bytes, sha256 }: RecordInfo, arrived: HandedOver): boolean =>
  arrived.bytes.byteLength === bytes && (sha256 === '' || sha256 === arrived.info.sha256);

const importFailed = (): MixtabError =>
  new MixtabError(
    'record-missing',
    'The import of this model has ended before all of it was stored.',
    'Continue the import; what is already stored is kept.',
  );
