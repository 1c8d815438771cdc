/**
 * The main loop of an import. While one batch of records is hashed and stored, the next records are read and built, up
 * to BATCH_BYTES. Larger records are stored alone, so at most two of them are in memory. The bytes of a record are
 * stored first, then the journal entry that says they are complete.
 */
import { MixtabError, throwIfAborted } from '../../src/contract/errors.ts';
import type { Bytes } from '../../src/contract/ids.ts';
import type { StorageBackend } from '../../src/contract/import-api.ts';
import type { PlannedRecord } from '../format/gguf/plan.ts';
import { isExpertKey, type ModelManifest, type RecordInfo } from '../format/manifest.ts';
import type { HandOverOffer } from '../store/hand-over.ts';
import { byteLengthOf } from '../store/store.ts';
import { type BuiltRecord, buildRecord, pendingRecordInfo, recordInfoOf, sumBytes } from './build-record.ts';
import { ContentChangedError, isUnchanged } from './content-samples.ts';
import type { ImportInputs } from './import-inputs.ts';
import type { ManifestFacts } from './manifest-facts.ts';
import type { IdentifiedModel } from './open-model.ts';
import { STALLED } from './stall-watch.ts';

/** Far below one expert of Mixtral, which is therefore stored alone. Up to ten experts of the built-in model fit. */
const BATCH_BYTES: Bytes = 4e6;

/** The step of an import that writes, as in `Activity.during`. */
export const STORING = 'storing records';

export interface RecordsToStore {
  opened: IdentifiedModel;
  facts: ManifestFacts;
  /** Records that are already stored, by key. */
  kept: ReadonlyMap<string, RecordInfo>;
  /** Where the other ones are stored. */
  storage: StorageBackend;
  /** Gets each record once it is built and hashed. */
  handOver?: Pick<HandOverOffer, 'add' | 'end'>;
  /** Whether the model can be loaded from what is handed over, before anything is stored. */
  isOffered?: boolean;
}

/** A record on its way into the store. */
interface QueuedRecord {
  record: BuiltRecord;
  info: Promise<RecordInfo>;
}

/** The manifest of a model of which not all records are stored. */
export function partialManifest(
  { opened, facts, storage }: Pick<RecordsToStore, 'opened' | 'facts' | 'storage'>,
  stored: ReadonlyMap<string, RecordInfo>,
): ModelManifest {
  const records = opened.plan.records.map((record) => stored.get(record.key) ?? pendingRecordInfo(record, storage));
  return { ...facts, state: 'importing', importedAt: Date.now(), records };
}

/**
 * Stores all records of a model. Dense records come first, because with them the model can already run and request the
 * experts that it needs. Once all are built, checks that the file was the same all the time.
 * @throws ContentChangedError if it was not
 * @returns the records in the order of the plan
 */
export async function storeRecords(inputs: ImportInputs, work: RecordsToStore): Promise<RecordInfo[]> {
  const { signal, requests } = inputs;
  const { id, plan } = work.opened;
  const planned = new Map(plan.records.map((record) => [record.key, record]));
  const remaining = new Set(denseFirst([...planned.keys()].filter((key) => !work.kept.has(key))));
  const writer = new RecordWriter(inputs, work);
  writer.begin();
  try {
    for (;;) {
      throwIfAborted(signal);
      const [first] = remaining;
      if (first === undefined) break;
      if (isExpertKey(first) && !writer.usable) {
        await writer.flush();
        await writer.makeUsable();
      }
      const requested = writer.usable ? await requests?.next(id, remaining) : undefined;
      const key = requested ?? arrivedKey(inputs, remaining, planned) ?? first;
      remaining.delete(key);
      const record = planned.get(key)!;
      const read = (): Promise<Uint8Array<ArrayBuffer>> => buildSameRecord(inputs, record, work.opened);
      await writer.add({ ...record, bytes: await during(inputs, 'reading the file', read) });
    }
    await Promise.all([writer.flush(), writer.described().then(() => confirmFile(inputs, work))]);
    throwIfAborted(signal); // the last records may not be stored then
  } catch (error) {
    await writer.settle();
    throw error;
  }
  const stored = writer.storedByKey();
  return plan.records.map(({ key }) => stored.get(key)!);
}

/** Nothing more is read of the file. If it was the same all the time, the records that were handed over are the model's. */
async function confirmFile({ source, signal }: ImportInputs, { opened, handOver }: RecordsToStore): Promise<void> {
  if (!(await isUnchanged(source, opened.spread, signal))) throw new ContentChangedError(source.name);
  handOver?.end(true);
}

/**
 * The first record whose bytes have all been downloaded, if the file is being downloaded. So an import over a slow network
 * stores what is there, and can continue from it.
 */
function arrivedKey(
  { source: { arrived } }: ImportInputs,
  remaining: ReadonlySet<string>,
  planned: ReadonlyMap<string, PlannedRecord>,
): string | undefined {
  if (arrived === undefined) return undefined;
  for (const key of remaining)
    if (planned.get(key)!.tensors.every(({ offset, bytes }) => offset + bytes <= arrived)) return key;
  return undefined;
}

const during = <T>({ activity }: ImportInputs, step: string, work: () => Promise<T>): Promise<T> =>
  activity ? activity.during(step, work) : work();

/** How often a record is read if its weights cannot be right. A proxy or a broken disk may have garbled one read. */
const MAX_READS = 3;

/**
 * Builds a record of the file that was opened.
 * @throws ContentChangedError if there is another file in its place
 * @throws MixtabError `gguf-damaged` if its weights are wrong each time, and what {@link buildRecord} throws
 */
async function buildSameRecord(
  inputs: ImportInputs,
  record: PlannedRecord,
  { samples, spread }: IdentifiedModel,
): Promise<Uint8Array<ArrayBuffer>> {
  const { source, signal } = inputs;
  for (let reads = 1; ; reads++) {
    const bytes = await buildRecord(inputs, record, samples).catch((error: unknown) => {
      if (reads === MAX_READS || !(error instanceof MixtabError) || error.code !== 'gguf-damaged') throw error;
    });
    if (bytes) return bytes;
    if (reads === MAX_READS || !(await isUnchanged(source, spread, signal))) throw new ContentChangedError(source.name);
  }
}

/** An attempt that was given up must not overwrite what the next one has stored. */
function throwIfStalled(signal: AbortSignal): void {
  if (signal.reason === STALLED) throwIfAborted(signal);
}

const denseFirst = (keys: string[]): string[] => keys.sort((a, b) => Number(isExpertKey(a)) - Number(isExpertKey(b)));

/** Stores records in the background, one batch at a time, and keeps the journal and the progress up to date. */
class RecordWriter {
  readonly #bytesTotal: Bytes;
  readonly #stored: RecordInfo[];
  /** Records built while others are being stored. */
  #batch: QueuedRecord[] = [];
  /**
   * Settles when the current batch is stored; stays set if that failed, so that the next to wait for it gets the error.
   */
  #writing: Promise<void> | undefined;
  #usable: boolean;
  /** Resolves when the records so far are hashed and handed over. */
  #described: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly inputs: ImportInputs,
    private readonly work: RecordsToStore,
  ) {
    this.#usable = work.isOffered ?? false;
    this.#bytesTotal = sumBytes(work.opened.plan.records);
    this.#stored = [...work.kept.values()];
  }

  /** True once the model can be loaded, see {@link makeUsable}. */
  get usable(): boolean {
    return this.#usable;
  }

  storedByKey(): Map<string, RecordInfo> {
    return new Map(this.#stored.map((info) => [info.key, info]));
  }

  /**
   * Starts to store a record, or queues it while others are being stored. Waits if the queue is full, unless the records
   * are handed over: then all of them fit in memory, and an engine waits for them.
   */
  async add(record: BuiltRecord): Promise<void> {
    const { batchBytes = BATCH_BYTES } = this.inputs;
    this.#batch.push({ record, info: this.#describe(record) });
    if (!this.#writing) this.#startBatch();
    else if (!this.work.handOver && byteLengthOf(this.#batch.map((queued) => queued.record)) >= batchBytes) {
      await this.#writing;
    }
  }

  /** Hashes a record, and hands over a copy of it. */
  #describe(record: BuiltRecord): Promise<RecordInfo> {
    const info = recordInfoOf(record, this.work.storage).then((described) => {
      this.#handOver(described, record.bytes);
      return described;
    });
    this.#described = Promise.all([this.#described, info]);
    this.#described.catch(() => {}); // the next to await it reports the error
    return info;
  }

  #handOver(info: RecordInfo, bytes: Uint8Array<ArrayBuffer>): void {
    const { handOver } = this.work;
    try {
      handOver?.add(info, bytes.slice());
    } catch {
      // There is no memory for a copy: the engine reads the record once it is stored.
    }
  }

  /** Waits until all added records are hashed and handed over. */
  async described(): Promise<void> {
    await this.#described;
  }

  /** Waits until all added records are stored. */
  async flush(): Promise<void> {
    while (this.#writing) await this.#writing;
  }

  /**
   * Waits until nothing is being stored any more, and ignores failures. Without this, records still on their way into
   * the store would be left over after the clean-up of a failed import.
   */
  async settle(): Promise<void> {
    while (this.#writing) {
      await this.#writing.catch(() => {
        this.#writing = undefined;
      });
    }
  }

  /** Stores the partial manifest, so that the model can be loaded while its experts are still being imported. */
  async makeUsable(): Promise<void> {
    await this.inputs.store.putPartial(partialManifest(this.work, this.storedByKey()));
    this.#usable = true;
    this.#report();
  }

  /** Begins with the journal. It is stored before any record, because writes keep their order. */
  begin(): void {
    this.#report();
    this.#startWriting(() => this.#writeJournal());
  }

  async #writeJournal(): Promise<void> {
    const { id, layoutVersion, name, origin, sourceUrl, embedder } = this.work.facts;
    await this.inputs.store.putJournal({
      id,
      layoutVersion,
      name,
      origin,
      ...(sourceUrl !== undefined && { sourceUrl }),
      ...(embedder !== undefined && { embedder }),
      bytesTotal: this.#bytesTotal,
      records: this.#stored,
    });
    this.#report();
  }

  #startBatch(): void {
    const batch = this.#batch;
    this.#batch = [];
    this.#startWriting(() => this.#store(batch));
  }

  #startWriting(write: () => Promise<void>): void {
    this.#writing = during(this.inputs, STORING, write).then(() => {
      this.#writing = undefined;
      if (this.#batch.length > 0 && !this.inputs.signal.aborted) this.#startBatch();
    });
    this.#writing.catch(() => {}); // the next await of it reports the error
  }

  /** The bytes first, then the journal entry that says they are complete. */
  async #store(batch: readonly QueuedRecord[]): Promise<void> {
    const { requests, signal } = this.inputs;
    const { storage, opened } = this.work;
    const { id } = opened;
    const infos = await Promise.all(batch.map(({ info }) => info));
    const records = batch.map(({ record }) => record);
    throwIfStalled(signal);
    await this.inputs.store.putRecords(id, records, storage);
    throwIfStalled(signal);
    this.#stored.push(...infos);
    await this.#writeJournal();
    for (const { key } of records) requests?.stored(id, key);
  }

  #report(): void {
    const { id, plan } = this.work.opened;
    this.inputs.onProgress({
      phase: 'records',
      bytesDone: sumBytes(this.#stored),
      bytesTotal: this.#bytesTotal,
      recordsDone: this.#stored.length,
      recordsTotal: plan.records.length,
      ...(this.#usable && { usableId: id }),
    });
  }
}
