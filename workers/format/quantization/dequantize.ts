/**
 * ggml's dequantization, block by block, with ggml's f32 arithmetic. It defines the value of a weight. Used by the
 * import (norms, rope factors), tests, tools and the F32 twins of synthetic models; the kernels read planes instead.
 */
import { WEIGHT_TYPES, type WeightTypeName } from '../weight-layout.ts';
import {
  decodeBF16,
  decodeF16,
  decodeF32,
  decodeIQ4_NL,
  decodeMXFP4,
  decodeQ4_0,
  decodeQ4_1,
  decodeQ5_0,
  decodeQ5_1,
  decodeQ8_0,
} from './dequantize-32.ts';
import {
  decodeIQ1_M,
  decodeIQ1_S,
  decodeIQ2_S,
  decodeIQ2_XS,
  decodeIQ2_XXS,
  decodeIQ3_S,
  decodeIQ3_XXS,
  decodeIQ4_XS,
} from './dequantize-iq.ts';
import { decodeQ2_K, decodeQ3_K, decodeQ4_K, decodeQ5_K, decodeQ6_K } from './dequantize-k.ts';
import type { BlockDecoder } from './dequantize-parts.ts';

const DECODERS: Record<WeightTypeName, BlockDecoder> = {
  F32: decodeF32,
  F16: decodeF16,
  BF16: decodeBF16,
  Q4_0: decodeQ4_0,
  Q4_1: decodeQ4_1,
  Q5_0: decodeQ5_0,
  Q5_1: decodeQ5_1,
  Q8_0: decodeQ8_0,
  IQ4_NL: decodeIQ4_NL,
  MXFP4: decodeMXFP4,
  Q2_K: decodeQ2_K,
  Q3_K: decodeQ3_K,
  Q4_K: decodeQ4_K,
  Q5_K: decodeQ5_K,
  Q6_K: decodeQ6_K,
  IQ1_S: decodeIQ1_S,
  IQ1_M: decodeIQ1_M,
  IQ2_XXS: decodeIQ2_XXS,
  IQ2_XS: decodeIQ2_XS,
  IQ2_S: decodeIQ2_S,
  IQ3_XXS: decodeIQ3_XXS,
  IQ3_S: decodeIQ3_S,
  IQ4_XS: decodeIQ4_XS,
};

/**
 * All weights of consecutive blocks, as f32.
 * @param bytes whole blocks as in the GGUF; for F32, F16 and BF16 any whole number of weights
 */
export function dequantize(type: WeightTypeName, bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const { blockBytes, blockWeights } = WEIGHT_TYPES[type];
  const blocks = Math.ceil(bytes.byteLength / blockBytes);
  const isWhole = bytes.byteLength === blocks * blockBytes;
  // The last block of a plain type may be partial.
  const { buffer, byteOffset } = isWhole ? bytes : padded(bytes, blocks * blockBytes);
  const view = new DataView(buffer, byteOffset, blocks * blockBytes);
  const out = new Float32Array(blocks * blockWeights);
  const decode = DECODERS[type];
  for (let b = 0; b < blocks; b++) decode(view, b * blockBytes, out, b * blockWeights);
  return isWhole ? out : out.slice(0, (bytes.byteLength * blockWeights) / blockBytes);
}

function padded(bytes: Uint8Array, length: number): Uint8Array {
  const copy = new Uint8Array(length);
  copy.set(bytes);
  return copy;
}
