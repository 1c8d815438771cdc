/**
 * Finds weights that are NaN or infinite. One such weight makes every later activation NaN, and the sampler would turn
 * that into fluent words. Only scales are read, as in ggml's own check of a file, so it costs a small part of the copy.
 */
import { WEIGHT_TYPES, type WeightTypeName } from '../weight-layout.ts';

/** Types whose blocks have f16 scales, and the byte of each scale in a block. */
export const HALF_SCALES = {
  Q4_0: [0],
  Q4_1: [0, 2],
  Q5_0: [0],
  Q5_1: [0, 2],
  Q8_0: [0],
  IQ4_NL: [0],
  Q2_K: [80, 82],
  Q3_K: [108],
  Q4_K: [0, 2],
  Q5_K: [0, 2],
  Q6_K: [208],
  IQ1_S: [0],
  IQ2_XXS: [0],
  IQ2_XS: [0],
  IQ2_S: [0],
  IQ3_XXS: [0],
  IQ3_S: [0],
  IQ4_XS: [0],
} as const satisfies Partial<Record<WeightTypeName, readonly number[]>>;

/** The exponent bits of f16, BF16 and f32. All of them are set in NaN and in infinity. */
const HALF_EXPONENT = 0x7c00;
const BFLOAT_EXPONENT = 0x7f80;
const FLOAT_EXPONENT = 0x7f800000;
/** MXFP4's smallest scale with which the largest quant exceeds f32. The scale 255 is NaN by definition. */
const MXFP4_TOO_LARGE = 253;

/**
 * Finds the first block whose scale is NaN or infinite, or the first such weight of F32, F16 and BF16.
 * @param bytes whole blocks as in the GGUF; for F32, F16 and BF16 any whole number of weights
 * @returns index of the weight, or of the block's first weight; undefined if all weights are finite
 */
export function findNonFinite(type: WeightTypeName, bytes: Uint8Array): number | undefined {
  const { blockBytes, blockWeights } = WEIGHT_TYPES[type];
  const found = (index: number, weights: number): number | undefined => (index < 0 ? undefined : index * weights);
  switch (type) {
    case 'F32':
      return found(findExponent(wordsOf(bytes, Uint32Array), FLOAT_EXPONENT), 1);
    case 'F16':
      return found(findExponent(wordsOf(bytes, Uint16Array), HALF_EXPONENT), 1);
    case 'BF16':
      return found(findExponent(wordsOf(bytes, Uint16Array), BFLOAT_EXPONENT), 1);
    case 'MXFP4':
      return found(findLargeByte(bytes, blockBytes), blockWeights);
    case 'IQ1_M':
      return found(findSpreadHalf(wordsOf(bytes, Uint16Array), blockBytes / 2), blockWeights);
    default:
      return found(findHalf(wordsOf(bytes, Uint16Array), blockBytes / 2, HALF_SCALES[type]), blockWeights);
  }
}

/** The bytes as little-endian words; a copy of them if they are not aligned. */
export function wordsOf<T>(bytes: Uint8Array, Words: WordArray<T>): T {
  const width = Words.BYTES_PER_ELEMENT;
  const { buffer, byteOffset, byteLength } = bytes.byteOffset % width === 0 ? bytes : bytes.slice();
  return new Words(buffer, byteOffset, Math.floor(byteLength / width));
}

interface WordArray<T> {
  BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, offset: number, length: number): T;
}

/** Index of the first number with all exponent bits; -1 if there is none. */
function findExponent(numbers: Uint16Array | Uint32Array, exponent: number): number {
  for (let i = 0; i < numbers.length; i++) if ((numbers[i] & exponent) === exponent) return i;
  return -1;
}

/** @param stride 16-bit words per block */
export function findHalf(words: Uint16Array, stride: number, offsets: readonly number[]): number {
  for (const offset of offsets) {
    for (let i = offset / 2; i < words.length; i += stride) {
      if ((words[i] & HALF_EXPONENT) === HALF_EXPONENT) return Math.floor(i / stride);
    }
  }
  return -1;
}

/** IQ1_M has its f16 scale in the top four bits of its last four words. The exponent is in the last two. */
export function findSpreadHalf(words: Uint16Array, stride: number): number {
  for (let i = stride - 1; i < words.length; i += stride) {
    const high = ((words[i] >> 12) << 12) | ((words[i - 1] >> 12) << 8);
    if ((high & HALF_EXPONENT) === HALF_EXPONENT) return Math.floor(i / stride);
  }
  return -1;
}

/** MXFP4's scale is the first byte of its block. */
export function findLargeByte(bytes: Uint8Array, stride: number): number {
  for (let i = 0; i < bytes.length; i += stride) if (bytes[i] >= MXFP4_TOO_LARGE) return i / stride;
  return -1;
}
