/**
 * The layout of weights in a record. GPU memory has the same bytes. See docs/weight-layout.md.
 *
 * A ggml quantization block is a small struct. At import every field of the struct goes to its own plane: first all
 * quants of the matrix, then all scales, row after row, in ggml's byte order. No value is recomputed, so dequantization
 * is exact. A shader reads the wide planes in aligned 16-byte loads.
 */

import type { Bytes } from '../../src/contract/ids.ts';

/** Increase it when planes, order or alignment change. Models with another version must be imported again. */
export const LAYOUT_VERSION = 1;

/** Tensors begin at multiples of this within a record, so that each can be bound by itself. */
export const TENSOR_ALIGNMENT = 256;
/** Planes begin at multiples of this within a tensor, the size of one `vec4<u32>`. */
export const PLANE_ALIGNMENT = 16;

/** One field of a ggml block, or several adjacent ones: `bytes` bytes at `offset` of the block. */
export interface BlockField {
  name: string;
  offset: Bytes;
  bytes: Bytes;
}

/** A tensor type that mixtab supports. */
export interface WeightType {
  name: WeightTypeName;
  /** ggml's number for the type, as in a GGUF's tensor table. */
  ggmlType: number;
  /** Weights per block. F32, F16 and BF16 are treated as blocks of 32, and a row's last block is padded with zeros. */
  blockWeights: number;
  /** Bytes per block in the GGUF. */
  blockBytes: Bytes;
  /** The planes, in their order in the record, widest first. */
  planes: readonly BlockField[];
}

/** ggml's name of a supported type. */
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

type Field = [name: string, offset: Bytes, bytes: Bytes];

const type = (
  name: WeightTypeName,
  ggmlType: number,
  blockWeights: number,
  blockBytes: Bytes,
  ...fields: Field[]
): WeightType => ({
  name,
  ggmlType,
  blockWeights,
  blockBytes,
  planes: fields.map(([field, offset, bytes]) => ({ name: field, offset, bytes })),
});

/**
 * The supported types, with struct layouts from ggml-common.h. Adjacent fields that are read together form one plane,
 * since a kernel can address at most four planes.
 */
export const WEIGHT_TYPES: Record<WeightTypeName, WeightType> = {
  F32: type('F32', 0, 32, 128, ['values', 0, 128]),
  F16: type('F16', 1, 32, 64, ['values', 0, 64]),
  BF16: type('BF16', 30, 32, 64, ['values', 0, 64]),

  Q4_0: type('Q4_0', 2, 32, 18, ['quants', 2, 16], ['d', 0, 2]),
  Q4_1: type('Q4_1', 3, 32, 20, ['quants', 4, 16], ['d m', 0, 4]),
  Q5_0: type('Q5_0', 6, 32, 22, ['quants', 6, 16], ['qh', 2, 4], ['d', 0, 2]),
  Q5_1: type('Q5_1', 7, 32, 24, ['quants', 8, 16], ['qh', 4, 4], ['d m', 0, 4]),
  Q8_0: type('Q8_0', 8, 32, 34, ['quants', 2, 32], ['d', 0, 2]),
  IQ4_NL: type('IQ4_NL', 20, 32, 18, ['quants', 2, 16], ['d', 0, 2]),
  MXFP4: type('MXFP4', 39, 32, 17, ['quants', 1, 16], ['e', 0, 1]),

  Q2_K: type('Q2_K', 10, 256, 84, ['quants', 16, 64], ['scales', 0, 16], ['d dmin', 80, 4]),
  Q3_K: type('Q3_K', 11, 256, 110, ['quants', 32, 64], ['hmask', 0, 32], ['scales', 96, 12], ['d', 108, 2]),
  // d and dmin (f16 each) and the 12 bytes of packed 6-bit scales and mins form one 16-byte word.
  Q4_K: type('Q4_K', 12, 256, 144, ['quants', 16, 128], ['scales', 0, 16]),
  Q5_K: type('Q5_K', 13, 256, 176, ['quants', 48, 128], ['qh', 16, 32], ['scales', 0, 16]),
  Q6_K: type('Q6_K', 14, 256, 210, ['ql', 0, 128], ['qh', 128, 64], ['scales', 192, 16], ['d', 208, 2]),

  IQ1_S: type('IQ1_S', 19, 256, 50, ['quants', 2, 32], ['qh', 34, 16], ['d', 0, 2]),
  IQ1_M: type('IQ1_M', 29, 256, 56, ['quants', 0, 32], ['qh', 32, 16], ['scales', 48, 8]),
  IQ2_XXS: type('IQ2_XXS', 16, 256, 66, ['quants', 2, 64], ['d', 0, 2]),
  IQ2_XS: type('IQ2_XS', 17, 256, 74, ['quants', 2, 64], ['scales', 66, 8], ['d', 0, 2]),
  IQ2_S: type('IQ2_S', 22, 256, 82, ['quants signs', 2, 64], ['qh scales', 66, 16], ['d', 0, 2]),
  IQ3_XXS: type('IQ3_XXS', 18, 256, 98, ['quants', 2, 64], ['signs', 66, 32], ['d', 0, 2]),
  IQ3_S: type('IQ3_S', 21, 256, 110, ['quants', 2, 64], ['signs scales', 74, 36], ['qh', 66, 8], ['d', 0, 2]),
  IQ4_XS: type('IQ4_XS', 23, 256, 136, ['quants', 8, 128], ['d scales', 0, 8]),
};

/** The type with this ggml number, or undefined if mixtab has no kernel for it. */
export function weightTypeOf(ggmlType: number): WeightType | undefined {
  return Object.values(WEIGHT_TYPES).find((type) => type.ggmlType === ggmlType);
}

/** Where a matrix `[rows, cols]` (output features, input features) is in a record. A vector is one row of F32. */
export interface TensorLayout {
  /** Role within the record: `gate`, `up`, `down`, `attn_q`, `attn_norm`, `token_embd` ... */
  name: string;
  type: WeightTypeName;
  rows: number;
  cols: number;
  /** Start of the tensor in its record, a multiple of TENSOR_ALIGNMENT. */
  offset: Bytes;
  /** Bytes of all planes. Each plane is padded to PLANE_ALIGNMENT, their sum to TENSOR_ALIGNMENT. */
  bytes: Bytes;
  /** Start of each plane, relative to the tensor's start, in the order of `WEIGHT_TYPES[type].planes`. */
  planeOffsets: Bytes[];
}

const alignUp = (n: number, alignment: number): number => Math.ceil(n / alignment) * alignment;

/** Number of blocks in a row of `cols` weights. */
export function blocksPerRow(type: WeightType, cols: number): number {
  return Math.ceil(cols / type.blockWeights);
}

/** Computes the layout of a matrix that begins at `offset` of its record. */
export function layoutTensor(name: string, type: WeightType, rows: number, cols: number, offset: Bytes): TensorLayout {
  const blocks = rows * blocksPerRow(type, cols);
  const planeOffsets: Bytes[] = [];
  let end = 0;
  for (const plane of type.planes) {
    planeOffsets.push(end);
    end = alignUp(end + blocks * plane.bytes, PLANE_ALIGNMENT);
  }
  return { name, type: type.name, rows, cols, offset, bytes: alignUp(end, TENSOR_ALIGNMENT), planeOffsets };
}

/** Activation rows are padded to a multiple of this many floats, because kernels read whole blocks of their input. */
export const INPUT_ALIGNMENT_WEIGHTS = 256;
