/**
 * What the reader worker does for the engine worker: see {@link RecordReader} in record-reader.ts for the other end.
 */
import { MixtabError } from '../../src/contract/errors.ts';
import { transfer } from '../../src/contract/rpc.ts';
import type { RecordInfo } from '../format/manifest.ts';
import { onePart, type RecordParts } from '../format/record-parts.ts';
import type { RecordSlice } from '../format/slices.ts';
import { type BufferPool, takeSlices } from './buffer-pool.ts';
import { type EarlyPartMessage, EarlyPartSender, type ReadReply } from './early-parts.ts';
import { readAgain } from './read-again.ts';
import { ReadProgress } from './read-progress.ts';
import { isBroken } from './record-errors.ts';
import { readWhenStored } from './record-requests.ts';
import type { RecordStore } from './store.ts';

/**
 * Fetches a damaged or missing record again from where the model came from.
 * @param failure what reading the record threw
 * @returns the record's bytes
 */
export type RepairRecord = (
  modelId: string,
  record: RecordInfo,
  failure: MixtabError,
) => Promise<Uint8Array<ArrayBuffer>>;

export interface ReaderParts {
  store: RecordStore;
  /** The memory that `store` reads into. */
  buffers: BufferPool;
  repair: RepairRecord;
  /** What `store` notes. */
  progress?: ReadProgress;
  /** Sends a message to the engine between those of calls. Without it, all of a record is returned at the end. */
  post?: (message: EarlyPartMessage, transfer: ArrayBuffer[]) => void;
}

/** {@link ReadForm}, as it is sent to the reader worker. */
export interface SentReadForm {
  slices?: readonly RecordSlice[] | undefined;
  /** Whether parts are to be sent early. */
  early?: boolean;
}

/** The API of the reader worker: reads records, repairs damaged ones, and reuses buffers. */
export class ReaderService {
  /** The reads in progress, by their ids. */
  readonly #reads = new Map<number, AbortController>();
  readonly #progress: ReadProgress;
  #repairs = 0;

  constructor(private readonly parts: ReaderParts) {
    this.#progress = parts.progress ?? new ReadProgress();
  }

  /**
   * Reads a record, repairs it if necessary, and transfers its memory to the caller.
   * @param id what {@link cancel} calls this read, and messages with parts that are sent early
   * @throws MixtabError `record-missing`, `record-damaged`, `record-unreadable`, `memory-full`, `model-not-found`,
   *   `aborted`
   */
  async read(
    modelId: string,
    record: RecordInfo,
    id: number,
    { slices, early }: SentReadForm = {},
  ): Promise<ReadReply> {
    const controller = new AbortController();
    this.#reads.set(id, controller);
    try {
      const { store, buffers, post } = this.parts;
      const { signal } = controller;
      const parts = early && post ? new EarlyPartSender(id, post) : undefined;
      const readOnce = (): Promise<RecordParts> => {
        parts?.reset();
        return readWhenStored(store, modelId, record, signal, { slices, parts });
      };
      const read = await readAgain(readOnce, signal).catch(async (error) => {
        parts?.reset();
        const whole = await this.#repair(modelId, record, error);
        return slices ? takeSlices(whole, slices, buffers) : whole;
      });
      const reply = parts?.replyWith(read) ?? { ...read, parts: [...read.parts] };
      return transfer(
        reply,
        reply.parts.flatMap((part) => part?.buffer ?? []),
      );
    } finally {
      this.#reads.delete(id);
    }
  }

  /** Ends a read with `aborted`. A read that is already done is still returned. */
  cancel(id: number): void {
    this.#reads.get(id)?.abort();
  }

  /**
   * A number that changes whenever a read has made progress. While a record is repaired, it changes with each call: the
   * requests of a repair have limits of their own.
   */
  progress(): number {
    if (this.#repairs > 0) this.#progress.note();
    return this.#progress.count;
  }

  /** Accepts the buffers of a record that is no longer used. */
  recycle(used: ArrayBuffer[]): void {
    for (const buffer of used) this.parts.buffers.recycle(buffer);
  }

  async #repair(modelId: string, record: RecordInfo, error: unknown): Promise<RecordParts> {
    const mayBeBroken = isBroken(error) || (error instanceof MixtabError && error.code === 'record-unreadable');
    const isStored = record.sha256 !== '';
    if (!mayBeBroken || !isStored) throw error;
    this.#repairs++;
    try {
      return onePart(await this.parts.repair(modelId, record, error));
    } finally {
      this.#repairs--;
    }
  }
}
