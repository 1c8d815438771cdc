/** Entry point of the reader worker: reads records for the engine worker, so that reading never holds up inference. */
import type { RecordInfo } from '../src/contract/weight-layout.ts';
import { expose, transfer } from '../src/contract/rpc.ts';
import { IndexedDbStore } from './storage/indexed-db-store.ts';
import { OpfsFiles } from './storage/opfs-files.ts';
import { readWhenStored } from './storage/record-requests.ts';

const store = new IndexedDbStore(undefined, new OpfsFiles());

const reader = {
  async read(modelId: string, record: RecordInfo): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await readWhenStored(store, modelId, record);
    return transfer(bytes, [bytes.buffer]);
  },
};

export type ReaderApi = typeof reader;
expose(reader);
