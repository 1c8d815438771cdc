/**
 * The synthetic models that every backend is held to: all weight types, all layouts, odd shapes, scalings of RoPE.
 */
import { WEIGHT_TYPES, type WeightTypeName } from '../format/weight-layout.ts';
import type { ImportInputs } from '../import/import-inputs.ts';
import type { MetadataValue } from '../synth/header-writer.ts';
import { type SynthOptions, uniformTypes } from '../synth/synth.ts';

export interface ExactnessModel extends SynthOptions, Pick<ImportInputs, 'maxMatrixBytes'> {
  /** llama.cpp reads the F32 twin as a split GGUF of this many files. Default: a single file. */
  twinFiles?: number;
}

const TYPES_BASE: Omit<SynthOptions, 'types' | 'layout'> = {
  layers: 3,
  embeddingLength: 256,
  feedForwardLength: 512,
  headCount: 8,
  kvHeadCount: 2,
  expertCount: 8,
  expertsPerToken: 2,
  vocabularySize: 600,
  contextLength: 256,
  seed: 5,
};

/** For comparing weight types, which differ only in how weights are read. */
const SMALL: Omit<SynthOptions, 'types'> = {
  ...TYPES_BASE,
  layout: 'merged',
  layers: 2,
  feedForwardLength: 256,
  expertCount: 4,
  vocabularySize: 400,
};

/** Shapes are odd if the type allows it: head dimensions 40 and 96, vocabularies that fill no tile, 3 of 5 experts. */
export const TYPE_MODELS: Record<string, ExactnessModel> = {
  ...Object.fromEntries(
    (Object.keys(WEIGHT_TYPES) as WeightTypeName[]).map((type): [string, SynthOptions] => [
      type,
      // With seed 5 two experts of Q5_1 are within 7e-5 of each other, so the rounding of keys could decide.
      { ...SMALL, types: uniformTypes(type), ...(type === 'Q5_1' && { seed: 15 }) },
    ]),
  ),
  'mixed types': {
    ...TYPES_BASE,
    seed: 6,
    layout: 'merged',
    types: { attention: 'Q8_0', experts: 'Q4_K', down: 'Q6_K', embedding: 'Q4_0', output: 'Q6_K', router: 'F16' },
  },
  'gate and up of different types': {
    ...TYPES_BASE,
    seed: 10,
    layout: 'merged',
    types: {
      attention: 'Q5_K',
      experts: 'IQ2_XXS',
      down: 'IQ4_XS',
      embedding: 'Q2_K',
      output: 'Q5_K',
      router: 'BF16',
    },
    overrides: [['ffn_up', 'IQ3_XXS']],
  },
  'odd shape': {
    ...TYPES_BASE,
    seed: 7,
    layout: 'merged',
    types: uniformTypes('F16'),
    embeddingLength: 200,
    feedForwardLength: 123,
    headCount: 5,
    kvHeadCount: 5,
    expertCount: 5,
    expertsPerToken: 3,
    vocabularySize: 613,
  },
  'wide heads': {
    ...TYPES_BASE,
    seed: 8,
    layout: 'merged',
    types: uniformTypes('Q8_0'),
    embeddingLength: 288,
    feedForwardLength: 96,
    headCount: 6,
    kvHeadCount: 2,
    headDim: 96,
    expertCount: 4,
    vocabularySize: 401,
    ropeFreqBase: 10_000,
  },
};

const LAYOUTS_BASE: SynthOptions = {
  layers: 2,
  embeddingLength: 256,
  feedForwardLength: 256,
  headCount: 8,
  kvHeadCount: 2,
  expertCount: 8,
  expertsPerToken: 2,
  vocabularySize: 512,
  contextLength: 256,
  seed: 11,
  layout: 'merged',
  types: uniformTypes('Q8_0'),
};

/** Layouts, numbers of experts, mixed types, vocabularies. */
export const LAYOUT_MODELS: Record<string, ExactnessModel> = {
  'top 1 of 2 experts': { ...LAYOUTS_BASE, seed: 12, expertCount: 2, expertsPerToken: 1 },
  'top 4 of 4 experts': { ...LAYOUTS_BASE, seed: 14, expertCount: 4, expertsPerToken: 4 },
  'top 4 of 16 experts, fused': { ...LAYOUTS_BASE, seed: 16, layout: 'fused', expertCount: 16, expertsPerToken: 4 },
  'a byte-level vocabulary': { ...LAYOUTS_BASE, seed: 23, vocabularySize: 1024, pre: 'tekken' },
  // 8x22B: six heads share a KV head. With seed 17 two experts are within 5e-4, and rounding keys to f16 swaps them.
  'six heads to a KV head': { ...LAYOUTS_BASE, seed: 24, embeddingLength: 384, headCount: 12, kvHeadCount: 2 },
  // As new Q4_K_M files have it: down in Q6_K in some layers.
  'types that differ from layer to layer': {
    ...LAYOUTS_BASE,
    seed: 18,
    layers: 3,
    types: uniformTypes('Q4_K'),
    overrides: [
      ['blk\\.1\\.ffn_down', 'Q6_K'],
      ['blk\\.2\\.ffn_up', 'Q8_0'],
    ],
  },
  'experts of one layer in different types': {
    ...LAYOUTS_BASE,
    seed: 19,
    layout: 'per-expert',
    types: uniformTypes('Q4_K'),
    overrides: [
      ['blk\\.0\\.ffn_down\\.[135]', 'Q6_K'],
      ['blk\\.1\\.ffn_(gate|up)\\.2', 'F16'],
      ['blk\\.1\\.ffn_up\\.[67]', 'Q8_0'],
    ],
  },
  // llama.cpp has no fused gates and ups in this architecture, so the twin has merged experts. It reads fused queries,
  // keys and values. The twin has three files here, to check that llama.cpp can read the split files that we write.
  'fused gate and up': {
    ...LAYOUTS_BASE,
    layout: 'fused',
    fusedQkv: true,
    types: uniformTypes('Q4_K'),
    twinFiles: 3,
  },
  // 8.9 MB each: three parts.
  'a vocabulary of 131072, with matrices split by rows': {
    ...LAYOUTS_BASE,
    seed: 20,
    layers: 1,
    embeddingLength: 64,
    feedForwardLength: 64,
    headCount: 2,
    kvHeadCount: 1,
    vocabularySize: 131_072,
    maxMatrixBytes: 4e6,
  },
};

/**
 * A model whose RoPE is not scaled, for comparison with {@link ROPE_MODELS}. Head dimension 32; base 10000, so that many
 * pairs rotate noticeably within a few dozen positions.
 */
export const UNSCALED: ExactnessModel = { ...LAYOUTS_BASE, seed: 21, ropeFreqBase: 10_000 };

const type = (name: string): MetadataValue => ({ string: name });

/** {@link UNSCALED} with scalings of RoPE, by name. */
export const ROPE_MODELS: Record<string, ExactnessModel> = {
  'RoPE scaling: linear, stretched vectors': {
    ...UNSCALED,
    metadata: {
      'llama.rope.scaling.type': type('linear'),
      'llama.rope.scaling.factor': { f32: 3 },
      'llama.rope.scaling.attn_factor': { f32: 1.25 },
    },
  },
  'RoPE scaling: yarn': {
    ...UNSCALED,
    metadata: {
      'llama.rope.scaling.type': type('yarn'),
      'llama.rope.scaling.factor': { f32: 8 },
      'llama.rope.scaling.original_context_length': { u32: 1024 },
    },
  },
  // As in Llama 3.1, with 16 pairs: the slow ones are 8 times slower, with a few steps between.
  'RoPE scaling: rope_freqs': { ...UNSCALED, ropeFactors: [1, 1, 1, 1, 1, 1, 1.2, 2.5, 4, 6, 8, 8, 8, 8, 8, 8] },
};

/** All of the above, by name. */
export const EXACTNESS_MODELS: Record<string, ExactnessModel> = {
  ...TYPE_MODELS,
  ...LAYOUT_MODELS,
  'RoPE not scaled': UNSCALED,
  ...ROPE_MODELS,
};
