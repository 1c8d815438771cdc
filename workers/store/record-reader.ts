/** Where the engine gets records from: the reader worker, or (in tests) a store directly. */

import { throwIfAborted } from '../../src/contract/errors.ts';
import { type Remote, transfer, wrap } from '../../src/contract/rpc.ts';
import type { SiteStoreMessage } from '../../src/contract/site-store.ts';
import type { RecordInfo } from '../format/manifest.ts';
import type { RecordParts } from '../format/record-parts.ts';
import type { ReaderApi } from '../reader.worker.ts';

export interface RecordReader {
  /**
   * A record's bytes, their hash checked the first time.
   * @param signal takes the read back: the store is free for others after the piece that it is about to bring
   * @throws MixtabError `record-missing`, `record-damaged`; `aborted` where it was taken back, however late
   */
  read(modelId: string, record: RecordInfo, signal?: AbortSignal): Promise<RecordParts>;
  /** Takes a record's memory back for the next ones; nobody may look at it any more. */
  recycle?(record: RecordParts): void;
}

/** Starts the reader worker. `attachSiteStore` hands it a port to the models of the site itself. */
export function createReaderWorker(): RecordReader & { attachSiteStore(port: MessagePort): void } {
  const worker = new Worker(new URL('../reader.worker.ts', import.meta.url), { type: 'module', name: 'reader' });
  const api: Remote<ReaderApi> = wrap<ReaderApi>(worker);
  const recycle = ({ parts }: RecordParts): void => {
    const used = parts.map(({ buffer }) => buffer);
    void api.recycle(transfer(used, used));
  };
  let reads = 0;
  return {
    async read(modelId, record, signal) {
      throwIfAborted(signal);
      const id = reads++;
      // A signal cannot be sent to a worker.
      const cancel = (): void => void api.cancel(id);
      signal?.addEventListener('abort', cancel);
      try {
        const read = await api.read(modelId, record, id);
        if (signal?.aborted) recycle(read); // it was on its way already
        throwIfAborted(signal);
        return read;
      } finally {
        signal?.removeEventListener('abort', cancel);
      }
    },
    recycle,
    attachSiteStore: (port) => worker.postMessage({ mixtabSiteStore: [port] } satisfies SiteStoreMessage, [port]),
  };
}
