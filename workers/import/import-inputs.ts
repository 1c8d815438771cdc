/** What an import, and the repair of a model, work with. */
import type { Bytes } from '../../src/contract/ids.ts';
import type { ImportProgress, ModelSource, StorageBackend } from '../../src/contract/import-api.ts';
import type { HandOverSender } from '../store/hand-over.ts';
import type { ReadProgress } from '../store/read-progress.ts';
import type { RecordRequests } from '../store/record-requests.ts';
import type { RecordStore } from '../store/store.ts';
import type { ByteSource } from './byte-source.ts';
import type { Activity } from './stall-watch.ts';

export interface ImportInputs {
  store: RecordStore;
  /** What the store notes when a read gets something. */
  readProgress?: ReadProgress;
  source: ByteSource;
  kind: ModelSource['kind'];
  /** Where damaged records can be fetched again; absent for local files. */
  sourceUrl?: string;
  /** Where the records are stored; default: `auto`, see {@link chooseStorage}. */
  storage?: StorageBackend | 'auto';
  /** Whether the browser can write and read files. Default: it cannot. */
  filesWork?: () => Promise<boolean>;
  /** Size of a model from which `auto` chooses files, for tests. */
  filesFrom?: Bytes;
  /** Origin of the embedding page that imports; absent: the user does. */
  embedder?: string;
  /** Stops the import. With the reason {@link DISCARD}, what is stored is removed; otherwise it is kept. */
  signal: AbortSignal;
  onProgress: (progress: ImportProgress) => void;
  /**
   * Called before the first record is stored. Throws if there is not enough space.
   * @returns a warning if there may not be enough
   */
  preflight: (bytes: Bytes) => Promise<string | undefined>;
  /** Notified of what the import is doing, so that a stall is noticed. */
  activity?: Activity;
  /** Runs work while no one else writes or removes the model. Default: runs it at once. */
  lock?: <T>(id: string, work: () => Promise<T>) => Promise<T>;
  /** Chooses the next record if an engine already runs the model. */
  requests?: Pick<RecordRequests, 'next' | 'stored'>;
  /** Gets the records that are stored, for an engine that loads the model. */
  handOvers?: Pick<HandOverSender, 'begin'>;
  /** Largest matrix that is not cut, for tests. */
  maxMatrixBytes?: Bytes;
  /** Most bytes that wait to be stored together, for tests. */
  batchBytes?: Bytes;
}

/** The abort reason of an import that removes what it has stored: the user gave it up. */
export const DISCARD = 'discard';
