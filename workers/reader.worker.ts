/** Entry point of the reader worker: reads records for the engine worker, so that reading never holds up inference. */
import { MixtabError } from '../src/contract/errors.ts';
import type { Bytes } from '../src/contract/ids.ts';
import { expose, transfer } from '../src/contract/rpc.ts';
import type { RecordInfo } from './format/manifest.ts';
import { onePart, type RecordParts } from './format/record-parts.ts';
import { BufferPool } from './store/buffer-pool.ts';
import { IndexedDbStore } from './store/indexed-db-store.ts';
import { OpfsFiles } from './store/opfs-files.ts';
import { readWhenStored } from './store/record-requests.ts';
import { onSiteStore } from './store/site-store.ts';

/** Room for the records under way and those being uploaded: four of Mixtral 8x7B's in Q4_K. */
const BUFFER_BYTES: Bytes = 400e6;
const buffers = new BufferPool(BUFFER_BYTES);
const store = new IndexedDbStore(undefined, new OpfsFiles(), buffers);
onSiteStore((siteStore) => store.attachSiteStore(siteStore));

/** Reads under way, by their ids. */
const reading = new Map<number, AbortController>();

const reader = {
  /** @param id what {@link cancel} may call it */
  async read(modelId: string, record: RecordInfo, id: number): Promise<RecordParts> {
    const cancel = new AbortController();
    reading.set(id, cancel);
    try {
      const read = await readWhenStored(store, modelId, record, cancel.signal).catch((error: unknown) =>
        repaired(modelId, record, error),
      );
      return transfer(
        read,
        read.parts.map(({ buffer }) => buffer),
      );
    } finally {
      reading.delete(id);
    }
  },
  /** Ends a read with `aborted`; one that is done already comes all the same. */
  cancel(id: number): void {
    reading.get(id)?.abort();
  },
  /** Takes the buffers of a record that has been used up. */
  recycle(used: ArrayBuffer[]): void {
    for (const buffer of used) buffers.recycle(buffer);
  },
};

/** The code that reads GGUF files is fetched only where it is needed. */
async function repaired(modelId: string, record: RecordInfo, error: unknown): Promise<RecordParts> {
  const broken = error instanceof MixtabError && (error.code === 'record-damaged' || error.code === 'record-missing');
  if (!broken || record.sha256 === '') throw error;
  const [{ repairRecord }, { openUrl }] = await Promise.all([
    import('./import/self-repair.ts'),
    import('./import/model-source.ts'),
  ]);
  return onePart(await repairRecord({ store, open: openUrl }, modelId, record, error));
}

export type ReaderApi = typeof reader;
expose(reader);
