/**
 * ggml's dequantization, block by block, in f32 as ggml computes it: the definition of what a weight is.
 * For tests, tools and the F32 twins of synthetic models; the kernels read planes instead.
 */
import { WEIGHT_TYPES, type WeightTypeName } from '../../src/contract/weight-layout.ts';

const { fround } = Math;
const scratch = new DataView(new ArrayBuffer(4));

/** f16 bits to a number. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

function bfloatToNumber(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}

/** Dequantizes one block at `at` into `out[to..]`. */
type BlockDecoder = (view: DataView, at: number, out: Float32Array, to: number) => void;

const plain =
  (read: (view: DataView, at: number) => number, bytes: number): BlockDecoder =>
  (view, at, out, to) => {
    for (let i = 0; i < 32; i++) out[to + i] = read(view, at + i * bytes);
  };

const half = (view: DataView, at: number): number => halfToNumber(view.getUint16(at, true));

const decodeQ8_0: BlockDecoder = (view, at, out, to) => {
  const d = half(view, at);
  for (let i = 0; i < 32; i++) out[to + i] = fround(view.getInt8(at + 2 + i) * d);
};

const decodeQ4_0: BlockDecoder = (view, at, out, to) => {
  const d = half(view, at);
  for (let i = 0; i < 16; i++) {
    const byte = view.getUint8(at + 2 + i);
    out[to + i] = fround(((byte & 15) - 8) * d);
    out[to + i + 16] = fround(((byte >> 4) - 8) * d);
  }
};

/** The 6-bit scale and min of run j of 32 weights, packed into 12 bytes. */
function scaleMinK4(view: DataView, at: number, j: number): [scale: number, min: number] {
  const byte = (i: number) => view.getUint8(at + i);
  if (j < 4) return [byte(j) & 63, byte(j + 4) & 63];
  return [(byte(j + 4) & 15) | ((byte(j - 4) >> 6) << 4), (byte(j + 4) >> 4) | ((byte(j) >> 6) << 4)];
}

const decodeQ4_K: BlockDecoder = (view, at, out, to) => {
  const d = half(view, at);
  const dmin = half(view, at + 2);
  for (let j = 0; j < 8; j++) {
    const [scale, min] = scaleMinK4(view, at + 4, j);
    const factor = fround(d * scale);
    const offset = fround(dmin * min);
    const quants = at + 16 + (j >> 1) * 32;
    for (let i = 0; i < 32; i++) {
      const q = (view.getUint8(quants + i) >> ((j & 1) * 4)) & 15;
      out[to + j * 32 + i] = fround(fround(factor * q) - offset);
    }
  }
};

const decodeQ6_K: BlockDecoder = (view, at, out, to) => {
  const d = half(view, at + 208);
  for (let n = 0; n < 2; n++) {
    const ql = at + n * 64;
    const qh = at + 128 + n * 32;
    const scales = at + 192 + n * 8;
    for (let r = 0; r < 4; r++) {
      for (let i = 0; i < 32; i++) {
        const low = (view.getUint8(ql + (r & 1) * 32 + i) >> ((r >> 1) * 4)) & 15;
        const high = (view.getUint8(qh + i) >> (r * 2)) & 3;
        const scale = view.getInt8(scales + r * 2 + (i >> 4));
        out[to + n * 128 + r * 32 + i] = fround(fround(d * scale) * ((low | (high << 4)) - 32));
      }
    }
  }
};

const DECODERS: Record<WeightTypeName, BlockDecoder> = {
  F32: plain((view, at) => view.getFloat32(at, true), 4),
  F16: plain(half, 2),
  BF16: plain((view, at) => bfloatToNumber(view.getUint16(at, true)), 2),
  Q8_0: decodeQ8_0,
  Q4_0: decodeQ4_0,
  Q4_K: decodeQ4_K,
  Q6_K: decodeQ6_K,
};

/**
 * All weights of a run of blocks, as f32.
 * @param bytes whole blocks of the GGUF; for F32, F16 and BF16 any whole number of weights
 */
export function dequantize(type: WeightTypeName, bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const { blockBytes, blockWeights } = WEIGHT_TYPES[type];
  const blocks = Math.ceil(bytes.byteLength / blockBytes);
  // A last partial block (of a plain type) is decoded from a padded copy.
  const padded = new Uint8Array(blocks * blockBytes);
  padded.set(bytes);
  const view = new DataView(padded.buffer);
  const out = new Float32Array(blocks * blockWeights);
  for (let b = 0; b < blocks; b++) DECODERS[type](view, b * blockBytes, out, b * blockWeights);
  return out.slice(0, (bytes.byteLength * blockWeights) / blockBytes);
}
