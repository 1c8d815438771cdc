/**
 * Seeded random quantization blocks: any bits in the quants, scales chosen so that weights have a
 * wanted standard deviation. Block n of a tensor depends on seed, tensor and n alone, so that any byte
 * range of a file can be made without the rest.
 */
import { WEIGHT_TYPES, type WeightType, type WeightTypeName } from '../../../src/contract/weight-layout.ts';

/** FNV-1a of a text, with a seed. */
export function hashName(name: string, seed: number): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193) >>> 0;
  return hash;
}

/** xorshift32, seeded by mixing two numbers (murmur3's finalizer). */
class Random {
  #state: number;

  constructor(a: number, b: number) {
    let h = (a ^ Math.imul(b + 1, 0x9e3779b1)) >>> 0;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b) >>> 0;
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35) >>> 0;
    this.#state = (h ^ (h >>> 16)) >>> 0 || 1;
  }

  word(): number {
    let s = this.#state;
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    this.#state = s >>> 0;
    return this.#state;
  }

  /** In [0, 1). */
  fraction(): number {
    return this.word() / 2 ** 32;
  }
}

/**
 * Standard deviation of a weight whose scale d is 1 and whose other bits are uniformly random, and the
 * f16 fields: Q4_K's dmin is 7.5 d (the mean quant), so that weights have mean zero.
 */
const SCALES: Partial<Record<WeightTypeName, { deviation: number; fields: { offset: number; factor: number }[] }>> = {
  Q8_0: { deviation: 73.9, fields: [{ offset: 0, factor: 1 }] },
  Q4_0: { deviation: 4.61, fields: [{ offset: 0, factor: 1 }] },
  // sc, m uniform in 0..63, q in 0..15: sqrt(var(sc q) + 7.5^2 var(m))
  Q4_K: { deviation: 258, fields: [{ offset: 0, factor: 1 }, { offset: 2, factor: 7.5 }] },
  Q6_K: { deviation: 1366, fields: [{ offset: 208, factor: 1 }] },
};

const floats = new Float32Array(1);
const bits = new Uint32Array(floats.buffer);

/** The nearest f16's bits, for finite numbers below 65504. */
export function halfBits(value: number): number {
  const sign = value < 0 ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude < 2 ** -14) return sign | Math.round(magnitude * 2 ** 24); // subnormal
  const exponent = Math.floor(Math.log2(magnitude));
  const mantissa = Math.round((magnitude / 2 ** exponent - 1) * 1024);
  return sign | (((exponent + 15) << 10) + mantissa); // a full mantissa carries into the exponent
}

export interface BlockRecipe {
  type: WeightTypeName;
  /** `hashName` of the tensor. */
  seed: number;
  /** Wanted standard deviation and mean (the mean for F32 only). */
  deviation: number;
  mean?: number;
}

/** Writes block `n` to `out[at..]`; plain types are written in runs of 32 weights. */
export function writeBlock({ type, seed, deviation, mean = 0 }: BlockRecipe, n: number, out: Uint8Array, at: number): void {
  const random = new Random(seed, n);
  const weightType: WeightType = WEIGHT_TYPES[type];
  const view = new DataView(out.buffer, out.byteOffset + at, weightType.blockBytes);
  const scales = SCALES[type];
  if (!scales) {
    writePlain(type, view, () => mean + deviation * Math.sqrt(3) * (2 * random.fraction() - 1));
    return;
  }
  for (let i = 0; i < weightType.blockBytes; i++) view.setUint8(i, random.word() >>> 24);
  const d = (deviation / scales.deviation) * (0.75 + 0.5 * random.fraction());
  for (const { offset, factor } of scales.fields) view.setUint16(offset, halfBits(d * factor), true);
}

/** Makes block at `out[at..]` all zero weights. */
export function zeroBlock(type: WeightTypeName, out: Uint8Array, at: number): void {
  out.fill(0, at, at + WEIGHT_TYPES[type].blockBytes);
}

function writePlain(type: WeightTypeName, view: DataView, next: () => number): void {
  for (let i = 0; i < 32; i++) {
    const value = next();
    if (type === 'F32') view.setFloat32(i * 4, value, true);
    else if (type === 'F16') view.setUint16(i * 2, halfBits(value), true);
    else {
      floats[0] = value;
      view.setUint16(i * 2, bits[0] >>> 16, true);
    }
  }
}
