/** How the engine reads records: through the reader worker, or in tests from a store directly. */
import { throwIfAborted } from '../../src/contract/errors.ts';
import { transfer } from '../../src/contract/rpc.ts';
import type { SiteStoreMessage } from '../../src/contract/site-store.ts';
import { startNestedWorker } from '../../src/contract/worker-life.ts';
import { type LinkedWorker, WorkerLink } from '../../src/contract/worker-link.ts';
import type { RecordInfo } from '../format/manifest.ts';
import type { RecordParts } from '../format/record-parts.ts';
import { abortable } from './abortable.ts';
import { EarlyParts } from './early-parts.ts';
import { ReadWatch } from './read-watch.ts';
import type { ReaderService } from './reader-service.ts';
import { stalledRead } from './record-errors.ts';
import type { ReadForm } from './store.ts';

/** Reads the records of stored models. */
export interface RecordReader {
  /**
   * Reads a record, and checks it the first time. A record that is still being imported is waited for.
   * @param signal cancels the read; the store is free for other reads after the piece that is being read
   * @param form with slices, one per compute thread, `parts[i]` of the result is the buffer of slice i: an ArrayBuffer
   *   of its own and of exactly its size, with zeros between its planes. With a receiver, parts that it got are those of
   *   the result, too; if the read fails, they must not be used any more
   * @throws MixtabError `record-missing`, `record-damaged`, `record-unreadable`, `worker-unavailable`; `aborted` if it was
   *   cancelled, however late
   */
  read(modelId: string, record: RecordInfo, signal?: AbortSignal, form?: ReadForm): Promise<RecordParts>;
  /** Hands a record's memory to later reads. Nobody may use the record after this. */
  recycle?(record: RecordParts): void;
  /** Starts what reads need, so that the first one does not wait for it. */
  open?(): void;
  /** Whether records that are still to be imported arrive without being requested. Default: they do not. */
  isArriving?(): Promise<boolean>;
}

/**
 * A {@link RecordReader} in a worker of its own, which `open` or the first read starts. If it does not start or dies,
 * reads reject with `worker-unavailable`, and the next one starts another. `attachSiteStore` gives each of them a port to
 * the models of the site's own store. Reads that make no progress are repeated once, by another worker
 * ({@link ReadWatch}).
 * @param start for tests, like `tickMs`
 */
export function createReaderWorker(
  start: () => LinkedWorker = startReader,
  tickMs?: number,
): RecordReader & {
  attachSiteStore(open: () => Promise<MessagePort>): void;
} {
  let openSiteStore: (() => Promise<MessagePort>) | undefined;
  /** While a port is on its way to a new worker, which would find none of the site's records before. */
  let attaching: Promise<void> | undefined;
  const attach = (worker: LinkedWorker): void => {
    const attached = openSiteStore?.()
      .then((port) => worker.postMessage({ mixtabSiteStore: port } satisfies SiteStoreMessage, [port]))
      .catch(() => {}) // the window is gone
      .finally(() => {
        if (attaching === attached) attaching = undefined;
      });
    attaching = attached;
  };
  const early = new EarlyParts((parts) => recycleParts(parts));
  const link = new WorkerLink<ReaderService>({
    start,
    onStart: (worker) => {
      worker.addEventListener('message', early.receive);
      attach(worker);
    },
    task: 'reads models',
    died: { code: 'worker-unavailable', remedy: 'Try again; if this happens again, reload the page.' },
  });
  const { api } = link;
  const recycleParts = (parts: RecordParts['parts']): void => {
    if (!link.worker) return; // a new one has no use for memory before it reads
    const used = parts.map(({ buffer }) => buffer);
    api.recycle(transfer(used, used)).catch(() => {}); // a reader that has died takes no memory back
  };
  const recycle = ({ parts }: RecordParts): void => recycleParts(parts);
  const read = readThrough(link, { early, recycle, attached: () => attaching });
  const watch = new ReadWatch({
    progress: () => api.progress(),
    restart: () => link.end(),
    ...(tickMs !== undefined && { tickMs }),
  });
  return {
    read: (modelId, record, ...rest) =>
      watch.run(
        (givenUp) => read(givenUp, modelId, record, ...rest),
        (seconds) => stalledRead(record, seconds),
      ),
    recycle,
    open: () => void link.open(),
    attachSiteStore(open) {
      openSiteStore = open;
      if (link.worker) attach(link.worker);
    },
  };
}

interface ReadThroughOptions {
  early: EarlyParts;
  recycle: (record: RecordParts) => void;
  /** What to wait for before a read, if anything. */
  attached: () => Promise<void> | undefined;
}

/** Reads through the reader worker, which can be asked to cancel. */
function readThrough(
  link: WorkerLink<ReaderService>,
  { early, recycle, attached }: ReadThroughOptions,
): (givenUp: AbortSignal, ...read: Parameters<RecordReader['read']>) => Promise<RecordParts> {
  const { api } = link;
  let nextId = 0;
  return async (givenUp, modelId, record, signal, { slices, parts } = {}) => {
    throwIfAborted(signal);
    const id = nextId++;
    // An AbortSignal cannot be sent to a worker, so the read gets an id by which it can be cancelled.
    const cancel = (): void => {
      early.cancel(id);
      api.cancel(id).catch(() => {});
    };
    signal?.addEventListener('abort', cancel);
    if (parts) early.begin(id, parts);
    try {
      link.open();
      const attaching = attached();
      if (attaching) await (signal ? abortable(signal, attaching) : attaching);
      throwIfAborted(signal);
      throwIfAborted(givenUp); // the port came too late, and another attempt reads the record
      const read = early.end(id, await api.read(modelId, record, id, { slices, early: parts !== undefined }));
      if (signal?.aborted) recycle(read); // it had been sent before the cancellation arrived
      throwIfAborted(signal);
      return read;
    } finally {
      early.cancel(id); // unless it has ended well
      signal?.removeEventListener('abort', cancel);
    }
  };
}

const startReader = (): Worker =>
  startNestedWorker(
    () => new Worker(new URL('../reader.worker.ts', import.meta.url), { type: 'module', name: 'reader' }),
  );
