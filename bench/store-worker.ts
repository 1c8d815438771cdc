/**
 * The worker of bench/store.ts: fills the stores and reads them in plain loops. OPFS files are only available in
 * workers.
 */
import { createStore, type UseStore } from 'idb-keyval';
import { expose } from '../src/contract/rpc.ts';
import { PART_BYTES, type RecordInfo } from '../workers/format/manifest.ts';
import { layoutTensor, type TensorLayout, WEIGHT_TYPES } from '../workers/format/weight-layout.ts';
import { BufferPool } from '../workers/store/buffer-pool.ts';
import { sha256Hex, xxh64Hex } from '../workers/store/hash.ts';
import { IndexedDbStore } from '../workers/store/indexed-db-store.ts';
import { OpfsFiles } from '../workers/store/opfs-files.ts';
import { readBlob } from '../workers/store/read-blob.ts';

const MODEL = 'bench';
const buffers = new BufferPool(8 * PART_BYTES);
const store = new IndexedDbStore(undefined, new OpfsFiles());

/** Returns the GB/s at which `work` reads or writes `bytes`. */
async function rate(bytes: number, work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return bytes / 1e6 / (performance.now() - started);
}

/** The matrices of an expert of at most `bytes` bytes. */
function expertTensors(bytes: number): TensorLayout[] {
  const rows = Math.floor(bytes / 3 / 2304 / 8) * 8; // 4096 columns in Q4_K have 2304 bytes
  const tensors: TensorLayout[] = [];
  for (const name of ['gate', 'up', 'down']) {
    const last = tensors.at(-1);
    tensors.push(layoutTensor(name, WEIGHT_TYPES.Q4_K, rows, 4096, last ? last.offset + last.bytes : 0));
  }
  return tensors;
}

const api = {
  /** Stores records of random bytes in both storage backends. Returns their infos and the write rates in GB/s. */
  async fill(count: number, bytes: number) {
    const infos = { indexeddb: [] as RecordInfo[], opfs: [] as RecordInfo[] };
    const write = { indexeddb: 0, opfs: 0 };
    for (let n = 0; n < count; n++) {
      const record = new Uint8Array(bytes);
      for (let at = 0; at < bytes; at += 65536) crypto.getRandomValues(record.subarray(at, at + 65536));
      const [sha256, xxh64] = await Promise.all([sha256Hex(record), xxh64Hex(record)]);
      for (const place of ['indexeddb', 'opfs'] as const) {
        const key = `${place}${n}`;
        let parts = 0;
        write[place] +=
          (await rate(bytes, async () => {
            parts = await store.putRecord(MODEL, key, record, place);
          })) / count;
        // Random bytes have NaNs among their scales, so they are marked as checked.
        const checked = { sha256, xxh64: xxh64!, finite: true as const };
        infos[place].push({ key, bytes, parts, ...checked, tensors: expertTensors(bytes), place });
      }
    }
    return { infos, write };
  },

  /**
   * Reads Blobs from IndexedDB, `concurrency` at a time, without any of the engine's code.
   * @param recycled whether to reuse a few buffers instead of allocating new memory, as `Blob.arrayBuffer()` does
   */
  async bareIndexedDb(records: RecordInfo[], concurrency: number, recycled: boolean): Promise<number> {
    const database: UseStore = createStore('mixtab-models', 'models');
    const keys = records.flatMap(({ key, parts }) =>
      Array.from({ length: parts }, (_, part) => `record/${MODEL}/${key}/${String(part).padStart(4, '0')}`),
    );
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < keys.length) {
        const key = keys[next++];
        const blob = await database(
          'readonly',
          (objects) =>
            new Promise<Blob>((resolve, reject) => {
              const request = objects.get(key);
              request.onsuccess = () => resolve(request.result as Blob);
              request.onerror = () => reject(request.error);
            }),
        );
        if (recycled) buffers.recycle((await readBlob(blob, buffers)).buffer);
        else await blob.arrayBuffer();
      }
    };
    return rate(
      records.reduce((sum, { bytes }) => sum + bytes, 0),
      async () => {
        await Promise.all(Array.from({ length: concurrency }, lane));
      },
    );
  },

  /** Reads OPFS files one after another into one buffer. */
  async bareOpfs(records: RecordInfo[]): Promise<number> {
    const root = await navigator.storage.getDirectory();
    const folder = await (await root.getDirectoryHandle('mixtab-records')).getDirectoryHandle(MODEL);
    const buffer = new Uint8Array(PART_BYTES);
    return rate(
      records.reduce((sum, { bytes }) => sum + bytes, 0),
      async () => {
        for (const { key, bytes } of records) {
          const handle = await (await folder.getFileHandle(key)).createSyncAccessHandle();
          for (let at = 0; at < bytes; at += buffer.byteLength) handle.read(buffer, { at });
          handle.close();
        }
      },
    );
  },

  clear: () => store.removeModel(MODEL),
};

export type StoreWorker = typeof api;
expose(api);
