/** Where the engine gets records from: the reader worker, or (in tests) a store directly. */
import type { Lending } from '../src/contract/lent-models.ts';
import { type Remote, transfer, wrap } from '../src/contract/rpc.ts';
import type { RecordParts } from '../src/contract/record-parts.ts';
import type { RecordInfo } from '../src/contract/weight-layout.ts';
import type { ReaderApi } from './reader.worker.ts';

export interface RecordReader {
  /**
   * A record's bytes, their hash checked the first time.
   * @throws MixtabError `record-missing`, `record-damaged`
   */
  read(modelId: string, record: RecordInfo): Promise<RecordParts>;
  /** Takes a record's memory back for the next ones; nobody may look at it any more. */
  giveBack?(record: RecordParts): void;
}

/** Starts the reader worker. `lend` hands it a port to the models of the site itself. */
export function createReaderWorker(): RecordReader & { lend(port: MessagePort): void } {
  const worker = new Worker(new URL('./reader.worker.ts', import.meta.url), { type: 'module', name: 'reader' });
  const api: Remote<ReaderApi> = wrap<ReaderApi>(worker);
  return {
    read: (modelId, record) => api.read(modelId, record),
    giveBack: ({ parts }) => {
      const used = parts.map(({ buffer }) => buffer);
      void api.giveBack(transfer(used, used));
    },
    lend: (port) => worker.postMessage({ mixtabLent: [port] } satisfies Lending, [port]),
  };
}
