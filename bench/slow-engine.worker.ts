/** The engine worker with a reader whose rate can be limited to that of a phone's flash memory or an old disk. */
import { expose } from '../src/contract/rpc.ts';
import { Engine } from '../workers/engine/engine.ts';
import { IndexedDbStore } from '../workers/store/indexed-db-store.ts';
import { OpfsFiles } from '../workers/store/opfs-files.ts';
import { createReaderWorker, type RecordReader } from '../workers/store/record-reader.ts';
import { RateLimit } from './rate-limit.ts';

const worker = createReaderWorker();
const limit = new RateLimit();
const reader: RecordReader = {
  read: async (modelId, record, signal, form) => {
    const read = worker.read(modelId, record, signal, form);
    try {
      return await limit.delay(record.bytes, read, signal);
    } catch (error) {
      // Cancelled after the record was read, but before it was due.
      read.then(
        (record) => worker.recycle?.(record),
        () => {},
      );
      throw error;
    }
  },
  recycle: (record) => worker.recycle?.(record),
};

class SlowEngine extends Engine {
  /** Limits later reads. */
  limitReading(bytesPerSecond: number): void {
    limit.bytesPerSecond = bytesPerSecond;
  }
}

export type SlowEngineApi = SlowEngine;
expose(new SlowEngine(new IndexedDbStore(undefined, new OpfsFiles()), { reader }));
