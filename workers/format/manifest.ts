/** Everything about a stored model except its weights: the manifest, its records and their keys. */
import type { Bytes } from '../../src/contract/ids.ts';
import type { ModelConfig, ModelSource, StorageBackend } from '../../src/contract/import-api.ts';
import { PART_BYTES } from '../../src/contract/site-store.ts';
import type { PreTokenizerName } from './pre-tokenizers.ts';
import type { TensorLayout } from './weight-layout.ts';

/** Describes one record: the weights of an expert, or of a group of dense tensors. */
export interface RecordInfo {
  /** `L12.E3` for an expert; `L12.dense`, `embedding` or `output` for a dense group. */
  key: string;
  bytes: Bytes;
  /** Where the bytes are stored. Default: IndexedDB. Stored manifests use the name `place`, so it cannot change. */
  place?: StorageBackend;
  /** Number of Blobs of at most PART_BYTES that the record is cut into; 1 if the record is a file. */
  parts: number;
  /** SHA-256 of the record's bytes, lower-case hex. Empty if the record has not been imported yet. */
  sha256: string;
  /**
   * XXH64 of the record's bytes with seed 0, 16 lower-case hex digits. Reads are checked with it, because SHA-256 takes
   * longer than reading. Absent in models of earlier versions, and if the browser allowed no WebAssembly at import.
   */
  xxh64?: string;
  tensors: TensorLayout[];
  /** The import found no weight that is NaN or infinite. Absent in models of earlier versions. */
  finite?: true;
}

export { PART_BYTES };

// Record keys are built and tested only by the functions below.

/** Key of an expert's record. */
export const expertKey = (layer: number, expert: number): string => `L${layer}.E${expert}`;
/** Key of the record with a layer's attention, norms and router. */
export const denseKey = (layer: number): string => `L${layer}.dense`;
/** Key of the record with `token_embd`. */
export const EMBEDDING_KEY = 'embedding';
/**
 * Key of the record with `output_norm` and `output`. If the GGUF has no `output.weight`, `output` is a second copy of
 * the embedding.
 */
export const OUTPUT_KEY = 'output';
/**
 * Key of one part of a vocabulary matrix. A matrix that is too large for one binding is cut by rows into the records
 * `output`, `output.1`, `output.2` ... Every part but the last has a multiple of 64 rows.
 * @param key `EMBEDDING_KEY` or `OUTPUT_KEY`
 */
export const partKey = (key: string, part: number): string => (part === 0 ? key : `${key}.${part}`);

const EXPERT_KEY = /^L\d+\.E\d+$/;
const DENSE_LAYER_KEY = /^L\d+\.dense$/;

/** True for the key of an expert's record, of any layer. */
export const isExpertKey = (key: string): boolean => EXPERT_KEY.test(key);
/** True for the key of the record of one of this layer's experts. */
export const isExpertKeyOf = (key: string, layer: number): boolean => isExpertKey(key) && key.startsWith(`L${layer}.`);
/** True for the key of a layer's dense record. The embedding and the output are dense too, but belong to no layer. */
export const isDenseLayerKey = (key: string): boolean => DENSE_LAYER_KEY.test(key);
/**
 * True for `first` itself and for the further parts of the matrix that begins there.
 * @param first `EMBEDDING_KEY` or `OUTPUT_KEY`
 */
export const isPartOf = (key: string, first: string): boolean =>
  key === first || (key.startsWith(`${first}.`) && /^\d+$/.test(key.slice(first.length + 1)));

/** The tensors of a layer's dense record, in order. */
export const DENSE_TENSORS = [
  'attn_norm',
  'attn_q',
  'attn_k',
  'attn_v',
  'attn_output',
  'ffn_norm',
  'ffn_gate_inp',
] as const;
/** The tensors of an expert's record, in order. */
export const EXPERT_TENSORS = ['gate', 'up', 'down'] as const;

/** The vocabulary, as the GGUF has it. Arrays have one entry per token, except `merges` and `endIds`. */
export interface TokenizerData {
  /** `tokenizer.ggml.model`: `llama` for SentencePiece BPE, `gpt2` for byte-level BPE. */
  model: string;
  /** Byte-level BPE only: how a text is cut into words (`tokenizer.ggml.pre`). */
  pre?: PreTokenizerName;
  /** Byte-level BPE only: the merges as `left right`, highest priority first. */
  merges?: string[];
  tokens: string[];
  scores: number[];
  /** 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte. */
  tokenTypes: number[];
  bosId: number;
  eosId: number;
  /** Other tokens that end an answer according to the file: end of turn, end of message. */
  endIds?: number[];
  unknownId: number;
  addBos: boolean;
  addSpacePrefix: boolean;
  chatTemplate?: string;
}

/** Everything about a stored model except its weights. */
export interface ModelManifest {
  id: string;
  /** `LAYOUT_VERSION` of the import. */
  layoutVersion: number;
  name: string;
  origin: string;
  /** Address from which damaged or missing records can be fetched again. Absent for local files. */
  sourceUrl?: string;
  source: ModelSource['kind'];
  /** Origin of the embedding page that imported the model; absent: the user did. */
  embedder?: string;
  state: 'importing' | 'complete' | 'damaged';
  /** Milliseconds since 1970. */
  importedAt: number;
  config: ModelConfig;
  parameterCount: number;
  /** Weights that one token uses. */
  activeParameterCount: number;
  /** Share of each weight type, by number of weights. The sum is 1. */
  typeShares: Record<string, number>;
  license?: string;
  description?: string;
  tokenizer: TokenizerData;
  records: RecordInfo[];
}
