/**
 * The interface of the import worker, which fills the store, and the types that describe models. engine-api.ts has the
 * engine's interface. Both are exposed through comlink: pass callbacks with `Comlink.proxy`. All errors are
 * `MixtabError`s.
 */
import type { AccessToken } from './access-token.ts';

/** Source of a GGUF. Several files are the parts of one split GGUF. */
export type ModelSource =
  /** The address of the file, or of any part of a split one. `access` is for gated and private repositories. */
  | { kind: 'url'; url: string; access?: AccessToken }
  | { kind: 'file'; files: File[] }
  /** The model that is served with the page. `url` is its address in the page's build. */
  | { kind: 'builtin'; url: string };

export type BuiltinSource = Extract<ModelSource, { kind: 'builtin' }>;

/** Where a record's bytes are stored: the browser's database, or a file of the origin private file system (OPFS). */
export type StorageBackend = 'indexeddb' | 'opfs';

/** Sizes that determine the computation. They are read from the GGUF, never assumed. */
export interface ModelConfig {
  layerCount: number;
  /** Width of the residual stream. */
  embeddingLength: number;
  /** Width of one expert's hidden layer. */
  feedForwardLength: number;
  headCount: number;
  kvHeadCount: number;
  /** Width of one head, the same for queries, keys and values. */
  headDim: number;
  expertCount: number;
  expertsPerToken: number;
  vocabularySize: number;
  /** Number of positions that the model was trained for. */
  contextLength: number;
  /** Number of a head's dimensions that are rotated. */
  ropeDimensionCount: number;
  ropeFreqBase: number;
  /** Scales rotations for contexts longer than the original training context; absent: no scaling. */
  ropeScaling?: RopeScaling;
  /** Divisor of the frequency of each pair of dimensions (`rope_freqs.weight`); absent: 1. */
  ropeFactors?: number[];
  rmsNormEpsilon: number;
}

/** How rotary position embeddings are stretched to a longer context. */
export interface RopeScaling {
  /** `linear`: all pairs rotate `factor` times slower. `yarn`: slow pairs do, fast pairs keep their speed. */
  type: 'linear' | 'yarn';
  factor: number;
  /** Number of positions before the context was extended. For `yarn` it determines which pairs are slow. */
  originalContextLength: number;
  /** Factor of all cosines and sines, and thus of queries and keys. */
  magnitude: number;
}

/** Parts of a model, which differ in weight type and in how often they are read. */
export type ModelPart = 'experts' | 'attention' | 'router' | 'norms' | 'embedding' | 'output';

/** Sizes of a model's weights, by part. */
export interface ModelFigures {
  /** Largest part first. `types` has the share of each weight type, by parameters. */
  parts: { part: ModelPart; parameters: number; bytes: number; types: Record<string, number> }[];
  /** Bytes of all weights except the experts. */
  denseBytes: number;
  /** Bytes of one expert of one layer, on average. */
  expertBytes: number;
  /** Bytes of weights read per token: all dense ones except the embedding, and the selected experts. */
  bytesPerToken: number;
  /** Average over all weights. */
  bitsPerWeight: number;
}

/** A stored model, as an entry in lists of models. */
export interface ModelSummary {
  id: string;
  name: string;
  /** File name or URL that it came from. */
  origin: string;
  /** Bytes of the model's records in the store. */
  storedBytes: number;
  state: 'importing' | 'complete' | 'damaged';
  config: ModelConfig;
  parameterCount: number;
  activeParameterCount: number;
  /** Share of each weight type by parameters, for example `{ Q4_K: 0.97, Q6_K: 0.03 }`. */
  typeShares: Record<string, number>;
  figures: ModelFigures;
  license?: string;
  description?: string;
  /** If false, the page offers only plain text completion. */
  hasChatTemplate: boolean;
  /** ms since 1970. */
  importedAt: number;
  /** Origin of the embedding page that imported the model; absent: the user did. */
  embedder?: string;
}

/** Progress of an import, a verification or a repair. */
export interface ImportProgress {
  /** Id of the model, once it can be loaded and used while its experts are still being imported. */
  usableId?: string;
  /** In phase `header`, `bytesTotal` is the size of the file. In phase `records` it is the size of all records. */
  phase: 'header' | 'records';
  bytesDone: number;
  bytesTotal: number;
  recordsDone: number;
  recordsTotal: number;
  /** A warning for the user while the import continues, for example that the space may be too small. */
  warning?: string;
}

/** An import that was paused, or interrupted by a closed tab or a lost connection. The same file resumes it. */
export interface UnfinishedImport {
  id: string;
  name: string;
  /** File name or URL that it came from. */
  origin: string;
  /** Absent for local files, which the user has to choose again. */
  sourceUrl?: string;
  bytesDone: number;
  bytesTotal: number;
  /** True once everything but experts is stored: the model can be loaded while its import continues. */
  usable: boolean;
  /** Origin of the embedding page that began it; absent: the user did. */
  embedder?: string;
}

/** What the header of a GGUF says about the model. Nothing is stored. */
export interface ModelInspection {
  architecture: string;
  name: string;
  license?: string;
  config: ModelConfig;
  fileBytes: number;
  parameterCount: number;
  activeParameterCount: number;
  bitsPerWeight: number;
  bytesPerToken: number;
  figures: ModelFigures;
  hasChatTemplate: boolean;
  tokenizer: { model: string; tokens: number };
  layout: 'merged' | 'per-expert' | 'fused';
  tensors: { name: string; type: string; shape: number[]; bytes: number }[];
  records: { key: string; bytes: number; tensors: string[] }[];
}

/** Options of an import. */
export interface ImportOptions {
  /** By which `cancel` and `pause` find this import, and no other one. */
  name?: string;
  /**
   * `indexeddb` works everywhere. `opfs`, files private to the page, is read several times faster. `auto`, the default:
   * files for models of 1 GB or more, if the browser can write and read them, else the database.
   */
  storage?: StorageBackend | 'auto';
  /** Origin of the embedding page that imports, in an iframe. Default: the user imports. */
  embedder?: string;
}

/** Options of a repair. */
export interface RepairOptions {
  /** By which `pause` finds this repair, and no other work. */
  name?: string;
  /** Token for a model from a gated repository. Tokens are not stored with models. */
  access?: AccessToken;
}

/**
 * The import worker's interface. One import or repair runs at a time. A second one in the same worker fails with
 * `busy`; a second one in another tab waits.
 */
export interface ImportApi {
  list(): Promise<ModelSummary[]>;
  /**
   * Begins to download a model of at most 64 MB that will probably be imported; `import` then takes what has arrived.
   * Ends an earlier download that no import has taken; without a source, that is all.
   */
  prefetch(source?: BuiltinSource): Promise<void>;
  /**
   * Imports a model record by record. If it fails, the list of models stays as it was. Stored records are kept, and
   * the next import of the same file continues (see `unfinished`), unless the file itself turns out to be damaged. If
   * the same file is stored and damaged, only its damaged records are written again.
   * @throws MixtabError `not-allowed` if an embedding page would continue or replace what it did not begin
   */
  import(
    source: ModelSource,
    onProgress: (progress: ImportProgress) => void,
    options?: ImportOptions,
  ): Promise<ModelSummary>;
  /**
   * Stops the running import and removes what it has stored. Its promise rejects with `aborted`.
   * @param name stops only the import with this name
   */
  cancel(name?: string): Promise<void>;
  /**
   * Stops the running import or repair and keeps what it has stored. The next import of the same file continues from there.
   * @param name stops only the one with this name
   */
  pause(name?: string): Promise<void>;
  /** Imports that can be resumed. `remove` discards one. */
  unfinished(): Promise<UnfinishedImport[]>;
  /**
   * Removes a model or an unfinished import, and the saved sessions of the model.
   * @throws MixtabError `busy` if the model is being imported or repaired, in any tab
   */
  remove(id: string): Promise<void>;
  /**
   * Reads every record and checks its hash.
   * @returns the keys of records that are missing, damaged or cannot be read
   * @throws MixtabError `model-not-found`, `memory-full`; `record-unreadable` if the browser does not answer a read
   */
  verify(id: string, onProgress: (progress: ImportProgress) => void): Promise<string[]>;
  /**
   * Verifies the model and fetches its damaged records again from its source.
   * @throws MixtabError `bad-request` for a model from local files, which the user has to import again
   */
  repair(id: string, onProgress: (progress: ImportProgress) => void, options?: RepairOptions): Promise<ModelSummary>;
  /** Reads only the header of a GGUF. */
  inspect(source: ModelSource): Promise<ModelInspection>;
  /** The sessions that `saveSession` has stored, oldest first. */
  sessions(): Promise<StoredSession[]>;
  removeSessions(ids: readonly string[]): Promise<void>;
}

/** A saved KV cache. */
export interface StoredSession {
  /** The name that it was saved under. */
  id: string;
  modelId: string;
  bytes: number;
}
