/** The engine's worker, but for its reader, whose rate can be limited: as on a phone's flash or an old disk. */
import { expose } from '../src/contract/rpc.ts';
import { Engine } from '../workers/engine/engine.ts';
import { IndexedDbStore } from '../workers/store/indexed-db-store.ts';
import { OpfsFiles } from '../workers/store/opfs-files.ts';
import { createReaderWorker, type RecordReader } from '../workers/store/record-reader.ts';
import { RateLimit } from './rate-limit.ts';

const worker = createReaderWorker();
const limit = new RateLimit();
const reader: RecordReader = {
  read: async (modelId, record, signal) => {
    const read = worker.read(modelId, record, signal);
    try {
      return await limit.hold(record.bytes, read, signal);
    } catch (error) {
      read.then(
        (record) => worker.recycle?.(record),
        () => {},
      ); // taken back when it had come, but was not due
      throw error;
    }
  },
  recycle: (record) => worker.recycle?.(record),
};

class SlowEngine extends Engine {
  /** For the reads from now on. */
  limitReading(bytesPerSecond: number): void {
    limit.bytesPerSecond = bytesPerSecond;
  }
}

export type SlowEngineApi = SlowEngine;
expose(new SlowEngine(new IndexedDbStore(undefined, new OpfsFiles()), reader));
