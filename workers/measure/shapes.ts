/** The sizes of what is measured: Mixtral's, or small ones that show on a software adapter that everything works. */
import { WEIGHT_TYPES, type WeightTypeName } from '../format/weight-layout.ts';
import { SYNTH_PRESETS } from '../synth/presets.ts';
import type { SynthOptions } from '../synth/synth.ts';

/** A weight matrix of the model: `rows` outputs, `cols` inputs. */
export interface MatrixShape {
  name: string;
  rows: number;
  cols: number;
}

/** Sizes of all steps. */
export interface MeasureShapes {
  /** Bytes that the bandwidth kernel reads. */
  readBytes: number;
  /** Threads of the arithmetic kernel, and its rounds of 64 multiply-adds. */
  threads: number;
  arithmeticRounds: number;
  /** Dispatches of the overhead tests. */
  dispatches: number;
  /** Bytes per upload test. */
  uploadBytes: number;
  /** Weight matrices outside the experts. */
  matrices: readonly MatrixShape[];
  embeddingLength: number;
  feedForwardLength: number;
  headCount: number;
  kvHeadCount: number;
  headDim: number;
  expertCount: number;
  expertsPerToken: number;
  vocabularySize: number;
  /** Weight types that are compared with float64. */
  checkedTypes: readonly WeightTypeName[];
  /** Those whose experts are, too. */
  checkedExperts: readonly WeightTypeName[];
  /** How many variants of each family are measured besides the default. */
  variantsPerFamily: number;
  /** Weight types of the matrix steps. */
  types: readonly WeightTypeName[];
  /** Positions in the KV cache at which attention of one token is measured. */
  positions: readonly number[];
  /** Tokens of the prefill steps. */
  promptTokens: readonly number[];
  /** Batches of prompt tokens behind a filled cache, for attention: [tokens, position]. */
  promptAttention: readonly (readonly [number, number])[];
  /** Different copies of a matrix that take at least this many bytes are used in turns, so that no cache holds them. */
  rotationBytes: number;
  /** The model of the whole-engine steps. */
  model: SynthOptions;
  /** Tokens of its prompt, tokens that it generates, and positions of the long prompt. */
  prompt: number;
  generated: number;
  longPrompt: number;
  /** The share of the experts that fit in the step in which not all do. */
  tightShare: number;
  /** Milliseconds that a sample takes at least, and samples of which the fastest counts. */
  sampleMs: number;
  samples: number;
}

const MIXTRAL = SYNTH_PRESETS['8x7b'];

const MIXTRAL_SHAPES: MeasureShapes = {
  readBytes: 1024 * 2 ** 20,
  threads: 2 ** 20,
  arithmeticRounds: 64,
  dispatches: 1000,
  uploadBytes: 256 * 2 ** 20,
  matrices: [
    { name: 'q, output of attention', rows: 4096, cols: 4096 },
    { name: 'k, v', rows: 1024, cols: 4096 },
    { name: 'output head', rows: 32000, cols: 4096 },
  ],
  embeddingLength: 4096,
  feedForwardLength: 14336,
  headCount: 32,
  kvHeadCount: 8,
  headDim: 128,
  expertCount: 8,
  expertsPerToken: 2,
  vocabularySize: 32000,
  checkedTypes: Object.keys(WEIGHT_TYPES) as WeightTypeName[],
  checkedExperts: ['Q4_K', 'Q6_K', 'Q8_0', 'IQ2_XS'],
  variantsPerFamily: Number.POSITIVE_INFINITY,
  types: ['Q4_K', 'Q6_K', 'Q8_0', 'Q5_K', 'IQ2_XS'],
  positions: [128, 500, 4096, 32000],
  promptTokens: [4, 32, 64, 128, 512],
  promptAttention: [
    [512, 0],
    [512, 4096],
    [128, 32000],
  ],
  rotationBytes: 400 * 2 ** 20,
  model: MIXTRAL,
  prompt: 512,
  generated: 64,
  longPrompt: 4096,
  tightShare: 0.2,
  sampleMs: 15,
  samples: 5,
};

const TINY_SHAPES: MeasureShapes = {
  readBytes: 2 ** 20,
  threads: 256,
  arithmeticRounds: 2,
  dispatches: 20,
  uploadBytes: 2 ** 20,
  matrices: [{ name: 'q, output of attention', rows: 256, cols: 256 }],
  embeddingLength: 256,
  feedForwardLength: 256,
  headCount: 4,
  kvHeadCount: 2,
  headDim: 64,
  expertCount: 8,
  expertsPerToken: 2,
  vocabularySize: 512,
  checkedTypes: ['Q4_K'],
  checkedExperts: ['Q4_K'],
  // On software adapters, a kernel takes a second to compile. The tests of the kernels run all variants.
  variantsPerFamily: 1,
  types: ['Q4_K'],
  positions: [40],
  promptTokens: [12],
  promptAttention: [[12, 20]],
  rotationBytes: 2 ** 17,
  model: SYNTH_PRESETS.tiny,
  prompt: 24,
  generated: 4,
  longPrompt: 48,
  tightShare: 0.5,
  sampleMs: 0,
  samples: 1,
};

/** @param layers of the model of the whole-engine steps; ignored if `tiny` */
export function shapesOf({ tiny, layers }: { tiny: boolean; layers: number }): MeasureShapes {
  return tiny ? TINY_SHAPES : { ...MIXTRAL_SHAPES, model: { ...MIXTRAL, layers } };
}
