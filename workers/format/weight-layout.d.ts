/**
 * How weights lie in a record and, byte for byte the same, in GPU memory. See docs/weight-layout.md.
 *
 * A ggml quantization block is a small struct. At import every *field* of the struct goes to a
 * *plane* of its own: all quants of the matrix, then all scales, row after row, in the byte order
 * ggml gives them. No value is recomputed, so dequantization is exact; a shader reads the wide
 * planes in aligned 16-byte loads.
 */
import type { Bytes } from '../../src/contract/ids.ts';
import type { ModelConfig, ModelSource } from '../../src/contract/import-api.ts';
import type { PreTokenizerName } from './pre-tokenizers.ts';
/** Bump when planes, order or alignment change: records of another version are imported again. */
export declare const LAYOUT_VERSION = 1;
/** Tensors begin at multiples of this within a record, so that each can be bound on its own. */
export declare const TENSOR_ALIGNMENT = 256;
/** Planes begin at multiples of this within a tensor: one `vec4<u32>`. */
export declare const PLANE_ALIGNMENT = 16;
/** One field of a ggml block: `bytes` bytes at `offset` of the block. */
export interface BlockField {
  name: string;
  offset: Bytes;
  bytes: Bytes;
}
/** A tensor type that mixtab runs. */
export interface WeightType {
  name: WeightTypeName;
  /** Number of the type in a GGUF's tensor table. */
  ggmlType: number;
  /** Weights in a block. F32, F16 and BF16 are treated as blocks of 32; a last partial block is padded with zeros. */
  blockWeights: number;
  /** Bytes of a block in the GGUF. */
  blockBytes: Bytes;
  /** The planes, in their order in the record: widest first. */
  planes: readonly BlockField[];
}
export type WeightTypeName =
  | 'F32'
  | 'F16'
  | 'BF16'
  | 'Q4_0'
  | 'Q4_1'
  | 'Q5_0'
  | 'Q5_1'
  | 'Q8_0'
  | 'IQ4_NL'
  | 'MXFP4'
  | 'Q2_K'
  | 'Q3_K'
  | 'Q4_K'
  | 'Q5_K'
  | 'Q6_K'
  | 'IQ1_S'
  | 'IQ1_M'
  | 'IQ2_XXS'
  | 'IQ2_XS'
  | 'IQ2_S'
  | 'IQ3_XXS'
  | 'IQ3_S'
  | 'IQ4_XS';
/**
 * Struct layouts from ggml-common.h. Fields that lie side by side in the struct and are read together are one plane:
 * a kernel knows four planes at most.
 */
export declare const WEIGHT_TYPES: Record<WeightTypeName, WeightType>;
/** The type with this number in a GGUF's tensor table, or undefined where mixtab has no kernel for it. */
export declare function weightTypeOf(ggmlType: number): WeightType | undefined;
/** A matrix `[rows, cols]` (output features, input features) in a record. A vector is one row of F32. */
export interface TensorLayout {
  /** Role within its record: `gate`, `up`, `down`, `attn_q`, `attn_norm`, `token_embd` ... */
  name: string;
  type: WeightTypeName;
  rows: number;
  cols: number;
  /** Start of the tensor in its record; a multiple of TENSOR_ALIGNMENT. */
  offset: Bytes;
  /** Bytes of all planes, each padded to PLANE_ALIGNMENT, the whole padded to TENSOR_ALIGNMENT. */
  bytes: Bytes;
  /** Start of each plane, from the tensor's start, in the order of `WEIGHT_TYPES[type].planes`. */
  planeOffsets: Bytes[];
}
/** Blocks in one row of a matrix with `cols` columns. */
export declare function blocksPerRow(type: WeightType, cols: number): number;
/** Lays out one matrix at `offset` of its record. */
export declare function layoutTensor(
  name: string,
  type: WeightType,
  rows: number,
  cols: number,
  offset: Bytes,
): TensorLayout;
/** Rows that a matvec's input buffer must be padded to: kernels read whole blocks of the input. */
export declare const INPUT_ALIGNMENT_WEIGHTS = 256;
/** Where a record's bytes lie: the browser's database, or a file of the origin private file system. */
export type RecordPlace = 'indexeddb' | 'opfs';
/** What the store keeps: the weights of one expert, or of one dense group. */
export interface RecordInfo {
  /** `L12.E3` for an expert, `L12.dense`, `embedding`, `output` for dense groups. */
  key: string;
  bytes: Bytes;
  /** Default: the database. */
  place?: RecordPlace;
  /** Blobs of at most PART_BYTES each that the record is cut into; 1 where it is a file. */
  parts: number;
  /** Lower-case hex SHA-256 of the record's bytes; empty while the record is still to be imported. */
  sha256: string;
  tensors: TensorLayout[];
}
/** Blobs in IndexedDB are at most this large: larger ones were slower to write and to read. */
export declare const PART_BYTES: Bytes;
/** True for an expert's record, false for a dense one. */
export declare const isExpertKey: (key: string) => boolean;
export declare const expertKey: (layer: number, expert: number) => string;
export declare const denseKey: (layer: number) => string;
/** Holds `token_embd`. */
export declare const EMBEDDING_KEY = 'embedding';
/** Holds `output_norm` and `output`; where the GGUF has no `output.weight` the embedding is stored again as `output`. */
export declare const OUTPUT_KEY = 'output';
/**
 * A vocabulary's matrix may be too large for one binding: its rows then go on in records `embedding.1`, `embedding.2`
 * ..., `output.1` ... Every part but the last has a multiple of 64 rows.
 */
export declare const partKey: (key: string, part: number) => string;
/** True for `key` itself and its further parts. */
export declare const isPartOf: (key: string, first: string) => boolean;
/** Names of the tensors in a layer's dense record, in their order. */
export declare const DENSE_TENSORS: readonly [
  'attn_norm',
  'attn_q',
  'attn_k',
  'attn_v',
  'attn_output',
  'ffn_norm',
  'ffn_gate_inp',
];
/** Names of the tensors in an expert's record, in their order. */
export declare const EXPERT_TENSORS: readonly ['gate', 'up', 'down'];
/** The vocabulary as the GGUF gives it. */
export interface TokenizerData {
  /** `tokenizer.ggml.model`: `llama` is SentencePiece BPE, `gpt2` byte-level BPE. */
  model: string;
  /** Byte-level BPE: how words are cut (`tokenizer.ggml.pre`), and the merges, first things first, as `left right`. */
  pre?: PreTokenizerName;
  merges?: string[];
  tokens: string[];
  scores: number[];
  /** 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte. */
  tokenTypes: number[];
  bosId: number;
  eosId: number;
  /** Further tokens that the file says end an answer: of a turn, of a message. */
  endIds?: number[];
  unknownId: number;
  addBos: boolean;
  addSpacePrefix: boolean;
  chatTemplate?: string;
}
/** Everything about a stored model but its weights. */
export interface ModelManifest {
  id: string;
  layoutVersion: number;
  name: string;
  origin: string;
  /** Where damaged or missing records can be fetched again; absent for local files. */
  sourceUrl?: string;
  source: ModelSource['kind'];
  state: 'importing' | 'complete' | 'damaged';
  importedAt: number;
  config: ModelConfig;
  parameterCount: number;
  activeParameterCount: number;
  typeShares: Record<string, number>;
  license?: string;
  description?: string;
  tokenizer: TokenizerData;
  records: RecordInfo[];
}
