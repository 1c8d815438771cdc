/**
 * Seeded random quantization blocks. The quants are random bits; the scales give the weights a chosen standard
 * deviation. Block n of a tensor depends only on the seed, the tensor's name and n. So any byte range of a file can be
 * computed without the rest.
 */
import { WEIGHT_TYPES, type WeightType, type WeightTypeName } from '../format/weight-layout.ts';

/** FNV-1a hash of a name, with a seed. 32 bits. */
export function hashName(name: string, seed: number): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193) >>> 0;
  return hash;
}

/** The generator xorshift32, seeded by mixing two numbers (with murmur3's finalizer). */
class Random {
  #state: number;

  constructor(a: number, b: number) {
    let h = (a ^ Math.imul(b + 1, 0x9e3779b1)) >>> 0;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b) >>> 0;
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35) >>> 0;
    this.#state = (h ^ (h >>> 16)) >>> 0 || 1;
  }

  /** 32 random bits, as an unsigned number. */
  word(): number {
    let s = this.#state;
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    this.#state = s >>> 0;
    return this.#state;
  }

  /** Fills `out[from..to]` with random bytes. */
  fill(out: Uint8Array, from: number, to: number): void {
    let s = this.#state;
    for (let i = from; i < to; i++) {
      s ^= s << 13;
      s ^= s >>> 17;
      s ^= s << 5;
      out[i] = s >>> 24;
    }
    this.#state = s >>> 0;
  }

  /** A number in [0, 1). */
  fraction(): number {
    return this.word() / 2 ** 32;
  }
}

/** Writes the scale `d` of a block into its bytes. */
type WriteScale = (view: DataView, d: number, random: Random) => void;

/** Writes f16 scales: at each offset `d` times a factor. */
const halves =
  (...fields: [offset: number, factor: number][]): WriteScale =>
  (view, d) => {
    for (const [offset, factor] of fields) view.setUint16(offset, halfBits(d * factor), true);
  };

/** IQ1_M has its f16 scale in the top four bits of four 16-bit words. */
const spreadHalf: WriteScale = (view, d) => {
  const bits = halfBits(d);
  for (let n = 0; n < 4; n++)
    view.setUint8(49 + n * 2, (view.getUint8(49 + n * 2) & 15) | (((bits >> (n * 4)) & 15) << 4));
};

/**
 * MXFP4's scales are powers of two. This picks one of the two nearest to `d` at random, so that the mean square is that
 * of `d`.
 */
const powerOfTwo: WriteScale = (view, d, random) => {
  const exponent = Math.floor(Math.log2(d));
  const share = ((d / 2 ** exponent) ** 2 - 1) / 3;
  view.setUint8(0, exponent + 128 + (random.fraction() < share ? 1 : 0));
};

/**
 * The standard deviation of a weight if the scale d is 1 and all other bits are uniformly random, and how d is written.
 * Types with a second scale, for the minimum, get one that makes the mean zero: Q4_K's dmin is 7.5 d (the mean quant),
 * Q4_1's m is -7.5 d. The deviations were measured over a million weights.
 */
const SCALES: Partial<Record<WeightTypeName, { deviation: number; write: WriteScale }>> = {
  Q8_0: { deviation: 73.9, write: halves([0, 1]) },
  Q4_0: { deviation: 4.61, write: halves([0, 1]) },
  Q4_1: { deviation: 4.6, write: halves([0, 1], [2, -7.5]) },
  Q5_0: { deviation: 9.25, write: halves([0, 1]) },
  Q5_1: { deviation: 9.24, write: halves([0, 1], [2, -15.5]) },
  IQ4_NL: { deviation: 67.41, write: halves([0, 1]) },
  MXFP4: { deviation: 5.85, write: powerOfTwo },
  Q2_K: { deviation: 13.88, write: halves([80, 1], [82, 1.5]) },
  Q3_K: { deviation: 43.47, write: halves([108, 1]) },
  // sc, m uniform in 0..63, q in 0..15: sqrt(var(sc q) + 7.5^2 var(m))
  Q4_K: { deviation: 258, write: halves([0, 1], [2, 7.5]) },
  Q5_K: { deviation: 525, write: halves([0, 1], [2, 15.5]) },
  Q6_K: { deviation: 1366, write: halves([208, 1]) },
  IQ1_S: { deviation: 7.17, write: halves([0, 1]) },
  IQ1_M: { deviation: 7.21, write: spreadHalf },
  IQ2_XXS: { deviation: 53.36, write: halves([0, 1]) },
  IQ2_XS: { deviation: 55.75, write: halves([0, 1]) },
  IQ2_S: { deviation: 56.64, write: halves([0, 1]) },
  IQ3_XXS: { deviation: 142, write: halves([0, 1]) },
  IQ3_S: { deviation: 141, write: halves([0, 1]) },
  IQ4_XS: { deviation: 1238, write: halves([0, 1]) },
};

const floats = new Float32Array(1);
const bits = new Uint32Array(floats.buffer);

const double = new Float64Array(1);
const doubleWords = new Uint32Array(double.buffer);

/** Bits of the nearest f16. `value` must be finite and its magnitude at most 65504. */
export function halfBits(value: number): number {
  const sign = value < 0 ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude < 2 ** -14) return sign | Math.round(magnitude * 2 ** 24); // subnormal
  double[0] = magnitude;
  // The exponent and the first 20 bits of the mantissa, of which f16 has 10. A full mantissa carries into the exponent.
  return sign | ((doubleWords[1] + 0x200 - ((1023 - 15) << 20)) >>> 10);
}

/** How the blocks of one matrix are made. */
export interface BlockRecipe {
  type: WeightTypeName;
  /** `hashName` of the matrix's name. */
  seed: number;
  /** Standard deviation of the weights. */
  deviation: number;
  /** Mean of the weights; F32, F16 and BF16 only. Default: 0. */
  mean?: number;
}

/** Writes block `n` to `out[at..]`. For the plain types (F32, F16, BF16) a block is 32 weights. */
export function writeBlock(
  { type, seed, deviation, mean = 0 }: BlockRecipe,
  n: number,
  out: Uint8Array,
  at: number,
): void {
  const random = new Random(seed, n);
  const weightType: WeightType = WEIGHT_TYPES[type];
  const view = new DataView(out.buffer, out.byteOffset + at, weightType.blockBytes);
  const scales = SCALES[type];
  if (!scales) {
    const width = deviation * Math.sqrt(3);
    writePlain(type, view, () => mean + width * (2 * random.fraction() - 1));
    return;
  }
  random.fill(out, at, at + weightType.blockBytes);
  const d = (deviation / scales.deviation) * (0.75 + 0.5 * random.fraction());
  scales.write(view, d, random);
}

/** Writes a block of zero weights to `out[at..]`. */
export function zeroBlock(type: WeightTypeName, out: Uint8Array, at: number): void {
  out.fill(0, at, at + WEIGHT_TYPES[type].blockBytes);
}

/** Writes 32 weights of a plain type. BF16 is truncated, not rounded. */
function writePlain(type: WeightTypeName, view: DataView, next: () => number): void {
  if (type === 'F32') for (let i = 0; i < 32; i++) view.setFloat32(i * 4, next(), true);
  else if (type === 'F16') for (let i = 0; i < 32; i++) view.setUint16(i * 2, halfBits(next()), true);
  else {
    for (let i = 0; i < 32; i++) {
      floats[0] = next();
      view.setUint16(i * 2, bits[0] >>> 16, true);
    }
  }
}
