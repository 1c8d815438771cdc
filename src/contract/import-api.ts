/**
 * The worker boundary, written by hand: models, and the import worker (`ImportApi`), which fills the store. The engine's is in
 * engine-api.ts. Both are exposed through comlink; callbacks are passed with `Comlink.proxy`; errors are `MixtabError`s.
 */

import type { AccessToken } from './access-token.ts';

/** Where a GGUF comes from. Several files are the parts of one split GGUF. */
export type ModelSource =
  | { kind: 'url'; url: string; access?: AccessToken }
  | { kind: 'file'; files: File[] }
  /** The model that is served with the page. `url` is where the page's build put it. */
  | { kind: 'builtin'; url: string };

/** Where a record's bytes lie: the browser's database, or a file of the origin private file system. */
export type StorageBackend = 'indexeddb' | 'opfs';

/** Sizes that decide the shape of the computation; read from the GGUF, never assumed. */
export interface ModelConfig {
  layerCount: number;
  /** Width of the residual stream. */
  embeddingLength: number;
  /** Width of one expert's hidden layer. */
  feedForwardLength: number;
  headCount: number;
  kvHeadCount: number;
  /** Width of one head (key and value alike). */
  headDim: number;
  expertCount: number;
  expertsPerToken: number;
  vocabularySize: number;
  /** Positions the model was trained for. */
  contextLength: number;
  /** How many of a head's dimensions are rotated. */
  ropeDimensionCount: number;
  ropeFreqBase: number;
  /** How rotations are slowed for contexts longer than the model was first trained for; absent: not at all. */
  ropeScaling?: RopeScaling;
  /** What the frequency of each pair of dimensions is divided by (`rope_freqs.weight`); absent: 1. */
  ropeFactors?: number[];
  rmsNormEpsilon: number;
}

export interface RopeScaling {
  /** `linear`: all pairs turn `factor` times slower. `yarn`: the slow ones do, the fast ones keep their speed. */
  type: 'linear' | 'yarn';
  factor: number;
  /** Positions before the context was stretched; decides which pairs are slow (yarn). */
  originalContextLength: number;
  /** What cosines and sines, and so queries and keys, are multiplied by. */
  magnitude: number;
}

/** Parts of a model that differ in type and in how often they are read. */
export type ModelPart = 'experts' | 'attention' | 'router' | 'norms' | 'embedding' | 'output';

/** What the weights weigh, part by part. */
export interface ModelFigures {
  /** Parts in the order of their size. `types`: share of each type, by parameters. */
  parts: { part: ModelPart; parameters: number; bytes: number; types: Record<string, number> }[];
  /** Bytes of everything but the experts. */
  denseBytes: number;
  /** Bytes of one expert of one layer, on average. */
  expertBytes: number;
  /** Weights that one token reads: all dense ones but the embedding, and the experts it uses. */
  bytesPerToken: number;
  bitsPerWeight: number;
}

/** What a list of models shows. */
export interface ModelSummary {
  id: string;
  name: string;
  /** File name or URL it came from. */
  origin: string;
  /** Bytes the model takes in the store. */
  storedBytes: number;
  state: 'importing' | 'complete' | 'damaged';
  config: ModelConfig;
  parameterCount: number;
  activeParameterCount: number;
  /** Tensor types with their share, e.g. `{ Q4_K: 0.97, Q6_K: 0.03 }` by parameters. */
  typeShares: Record<string, number>;
  figures: ModelFigures;
  license?: string;
  description?: string;
  /** False: the page offers plain text completion only. */
  hasChatTemplate: boolean;
  importedAt: number;
}

export interface ImportProgress {
  /** Set once the model can be loaded and talked to, while its experts are still on their way. */
  usableId?: string;
  phase: 'header' | 'records' | 'finishing';
  bytesDone: number;
  bytesTotal: number;
  recordsDone: number;
  recordsTotal: number;
  /** Something to know while it goes on, e.g. that the space may not do. */
  warning?: string;
}

/** An import that was paused or cut off (a closed tab, a lost connection): importing the same file again goes on. */
export interface UnfinishedImport {
  id: string;
  name: string;
  /** File name or URL it came from. */
  origin: string;
  /** Absent for local files, which have to be chosen again. */
  sourceUrl?: string;
  bytesDone: number;
  bytesTotal: number;
  /** True once all but experts is stored: the model can be loaded while its import goes on. */
  usable: boolean;
}

/** What `inspect` prints: everything that the header tells, nothing stored. */
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

export interface ImportOptions {
  /** `indexeddb` (the default) works everywhere; `opfs`, files private to the page, is read several times faster. */
  storage?: StorageBackend;
}

/** The import worker. One import runs at a time; a second call fails with `busy`. */
export interface ImportApi {
  list(): Promise<ModelSummary[]>;
  /**
   * Imports record by record; on any failure the catalog stays as it was. What is stored is kept where the import may go
   * on later (paused, crashed, source out of reach: see `unfinished`), else removed. Of a damaged model the damaged
   * records alone are written anew.
   */
  import(
    source: ModelSource,
    onProgress: (progress: ImportProgress) => void,
    options?: ImportOptions,
  ): Promise<ModelSummary>;
  /** Stops the running import and removes what it stored; its promise then rejects with `aborted`. */
  cancel(): Promise<void>;
  /** Like `cancel`, but what is stored is kept: the next import of the same file goes on from there. */
  pause(): Promise<void>;
  /** Imports that can go on; `remove` gives one up. */
  unfinished(): Promise<UnfinishedImport[]>;
  remove(id: string): Promise<void>;
  /** Reads every record again and checks its hash; returns the keys of the damaged ones. */
  verify(id: string, onProgress: (progress: ImportProgress) => void): Promise<string[]>;
  /**
   * Verifies the model and fetches its damaged records again from where it came from.
   * @param access for a model from a gated repository: tokens are not kept with models
   * @throws MixtabError `bad-request` for a model from local files: import the same file again
   */
  repair(id: string, onProgress: (progress: ImportProgress) => void, access?: AccessToken): Promise<ModelSummary>;
  inspect(source: ModelSource): Promise<ModelInspection>;
  /** What `saveSession` has kept, oldest first. Those of a removed model go with it. */
  sessions(): Promise<StoredSession[]>;
  removeSessions(ids: readonly string[]): Promise<void>;
}

/** A KV cache on the disk. */
export interface StoredSession {
  /** The name under which it was saved. */
  id: string;
  modelId: string;
  bytes: number;
}
