/**
 * Compares the whole engine with llama.cpp on different layouts and shapes: fused experts, other numbers of experts,
 * mixed types, split matrices.
 */
import { describe, expect, it } from 'vitest';
import type { MetadataValue } from '../synth/header-writer.ts';
import { type SynthOptions, uniformTypes } from '../synth/synth.ts';
import { expectSameAsLlamaCpp, greedy } from './exactness-testing.ts';
import { engineWith } from './testing.ts';

const BASE: SynthOptions = {
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

const MODELS: Record<string, SynthOptions> = {
  'top 1 of 2 experts': { ...BASE, seed: 12, expertCount: 2, expertsPerToken: 1 },
  'top 4 of 4 experts': { ...BASE, seed: 14, expertCount: 4, expertsPerToken: 4 },
  'top 4 of 16 experts, fused': { ...BASE, seed: 16, layout: 'fused', expertCount: 16, expertsPerToken: 4 },
  'a byte-level vocabulary': { ...BASE, seed: 23, vocabularySize: 1024, pre: 'tekken' },
  // 8x22B: six heads share a KV head.
  'six heads to a KV head': { ...BASE, seed: 17, embeddingLength: 384, headCount: 12, kvHeadCount: 2 },
  // As new Q4_K_M files have it: down in Q6_K in some layers.
  'types that differ from layer to layer': {
    ...BASE,
    seed: 18,
    layers: 3,
    types: uniformTypes('Q4_K'),
    overrides: [
      ['blk\\.1\\.ffn_down', 'Q6_K'],
      ['blk\\.2\\.ffn_up', 'Q8_0'],
    ],
  },
  'experts of one layer in different types': {
    ...BASE,
    seed: 19,
    layout: 'per-expert',
    types: uniformTypes('Q4_K'),
    overrides: [
      ['blk\\.0\\.ffn_down\\.[135]', 'Q6_K'],
      ['blk\\.1\\.ffn_(gate|up)\\.2', 'F16'],
      ['blk\\.1\\.ffn_up\\.[67]', 'Q8_0'],
    ],
  },
};

describe('mixtab agrees with llama.cpp', () => {
  it.each(Object.entries(MODELS))('%s', { timeout: 120_000 }, async (_name, options) => {
    await expectSameAsLlamaCpp(options);
  });

  // llama.cpp has no fused tensors in this architecture, so the twin is merged. It has three files here, to check that
  // llama.cpp can read the split files that we write.
  it('fused gate and up', { timeout: 120_000 }, async () => {
    await expectSameAsLlamaCpp({ ...BASE, layout: 'fused', types: uniformTypes('Q4_K') }, { twinFiles: 3 });
  });

  const type = (name: string): MetadataValue => ({ string: name });
  const ROPES: Record<string, Pick<SynthOptions, 'metadata' | 'ropeFactors'>> = {
    'linear, stretched vectors': {
      metadata: {
        'llama.rope.scaling.type': type('linear'),
        'llama.rope.scaling.factor': { f32: 3 },
        'llama.rope.scaling.attn_factor': { f32: 1.25 },
      },
    },
    yarn: {
      metadata: {
        'llama.rope.scaling.type': type('yarn'),
        'llama.rope.scaling.factor': { f32: 8 },
        'llama.rope.scaling.original_context_length': { u32: 1024 },
      },
    },
    // As in Llama 3.1, with 16 pairs: the slow ones are 8 times slower, with a few steps between.
    rope_freqs: { ropeFactors: [1, 1, 1, 1, 1, 1, 1.2, 2.5, 4, 6, 8, 8, 8, 8, 8, 8] },
  };
  it.each(Object.entries(ROPES))('RoPE scaling: %s', { timeout: 120_000 }, async (_name, rope) => {
    // Head dimension 32; base 10000, so that many pairs rotate noticeably within a few dozen positions.
    const options = { ...BASE, seed: 21, ropeFreqBase: 10_000 };
    const { tokens } = await expectSameAsLlamaCpp({ ...options, ...rope });
    const { engine, modelId } = await engineWith(options);
    await engine.load({ modelId }, () => {});
    const plain = await greedy(engine);
    await engine.unload();
    // The first token's probability differs much from the one without scaling: ignored metadata would fail here.
    expect(Math.abs(plain.tokens[0].logprob - tokens[0].logprob)).toBeGreaterThan(0.03);
  });

  it('a vocabulary of 131072, with matrices split by rows', { timeout: 120_000 }, async () => {
    const options: SynthOptions = {
      ...BASE,
      seed: 20,
      layers: 1,
      embeddingLength: 64,
      feedForwardLength: 64,
      headCount: 2,
      kvHeadCount: 1,
      vocabularySize: 131_072,
    };
    // 8.9 MB each: three parts.
    await expectSameAsLlamaCpp(options, { maxMatrixBytes: 4e6 });
  });

  it('experts of different types, the same to the bit at every budget', { timeout: 120_000 }, async () => {
    const options = MODELS['experts of one layer in different types'];
    const { engine, modelId } = await engineWith(options);
    const all = await engine.load({ modelId }, () => {});
    const reference = await greedy(engine);
    const tooSmall = await engine.load({ modelId, gpuBudgetBytes: 1 }, () => {}).catch((error: Error) => error.message);
    const least = Number(/at least (\d+) MB/.exec(String(tooSmall))?.[1]) * 1e6;
    const loaded = await engine.load({ modelId, gpuBudgetBytes: least }, () => {});
    expect(loaded.slots).toBeLessThan(all.slots);
    const result = await greedy(engine);
    expect(result.cache.misses).toBeGreaterThan(0);
    expect(result.tokens.map(({ id, logprob }) => [id, logprob])).toEqual(
      reference.tokens.map(({ id, logprob }) => [id, logprob]),
    );
    await engine.unload();
  });
});
