/** Shapes and vocabularies, supported and not. */
import { describe, expect, it } from 'vitest';
import { readConfig } from './config.ts';
import { codeOf, headerOf, TINY } from './testing.ts';
import { readTokenizer } from './tokenizer-data.ts';

describe('readConfig', () => {
  const changed = async (changes: Record<string, unknown>): Promise<Record<string, unknown>> => ({
    ...(await headerOf(TINY)).metadata,
    ...changes,
  });
  const codeWith = async (changes: Record<string, unknown>): Promise<string> => {
    const values = await changed(changes);
    return codeOf(() => readConfig('x.gguf', values));
  };

  it('reads the shape', async () => {
    expect(readConfig('x.gguf', (await headerOf(TINY)).metadata)).toMatchObject({
      layerCount: 2,
      embeddingLength: 256,
      feedForwardLength: 256,
      headCount: 4,
      kvHeadCount: 2,
      headDim: 64,
      expertCount: 8,
      expertsPerToken: 2,
      vocabularySize: 512,
      contextLength: 256,
      ropeDimensionCount: 64,
      ropeFreqBase: 1e6,
    });
  });

  it('uses the defaults of llama.cpp for keys that old files lack', async () => {
    const values = await changed({
      'llama.attention.head_count_kv': undefined,
      'llama.rope.freq_base': undefined,
      'llama.attention.key_length': undefined,
      'llama.attention.value_length': undefined,
      'llama.rope.dimension_count': undefined,
    });
    expect(readConfig('x.gguf', values)).toMatchObject({
      kvHeadCount: 4,
      ropeFreqBase: 10_000,
      headDim: 64,
      ropeDimensionCount: 64,
    });
  });

  it.each([
    [{ 'general.architecture': 'qwen2' }, 'gguf-unsupported-architecture'],
    [{ 'llama.expert_count': 0 }, 'gguf-unsupported-architecture'],
    [{ 'llama.rope.scaling.type': 'longrope' }, 'gguf-unsupported-feature'],
    [{ 'llama.rope.scaling.type': 'linear', 'llama.rope.scaling.factor': -2 }, 'gguf-unsupported-feature'],
    [
      {
        'llama.rope.scaling.type': 'yarn',
        'llama.rope.scaling.factor': 4,
        'llama.rope.scaling.original_context_length': -8,
      },
      'gguf-unsupported-feature',
    ],
    [{ 'llama.rope.scaling.yarn_log_multiplier': 0.5 }, 'gguf-unsupported-feature'],
    [{ 'llama.expert_weights_scale': 2.5 }, 'gguf-unsupported-feature'],
    [{ 'llama.expert_weights_scale': 1, 'llama.logit_scale': 0 }, 'no error'],
    [{ 'llama.attention.sliding_window': 4096 }, 'gguf-unsupported-feature'],
    [{ 'llama.expert_used_count': 9 }, 'gguf-damaged'],
    [{ 'llama.block_count': 1e9 }, 'gguf-damaged'],
    [{ 'llama.embedding_length': undefined }, 'gguf-damaged'],
    [{ 'llama.attention.head_count': [4, 4] }, 'gguf-damaged'],
    [{ 'llama.attention.head_count_kv': 3 }, 'gguf-damaged'],
    [{ 'llama.context_length': 'long' }, 'gguf-damaged'],
  ])('%j: %s', async (changes, code) => {
    expect(await codeWith(changes)).toBe(code);
  });

  it.each([
    [{}, undefined],
    [{ 'llama.rope.scaling.type': 'none', 'llama.rope.scaling.factor': 4 }, undefined],
    [{ 'llama.rope.scaling.type': 'linear', 'llama.rope.scaling.factor': 1 }, undefined],
    [{ 'llama.rope.scale_linear': 8 }, { type: 'linear', factor: 8, magnitude: 1 }],
    [
      { 'llama.rope.scaling.factor': 2, 'llama.rope.scale_linear': 8 },
      { type: 'linear', factor: 2, magnitude: 1 },
    ],
    [
      { 'llama.rope.scaling.type': 'yarn', 'llama.rope.scaling.factor': 4 },
      { type: 'yarn', factor: 4, originalContextLength: 256, magnitude: 1 + 0.1 * Math.log(4) },
    ],
    [
      {
        'llama.rope.scaling.type': 'yarn',
        'llama.rope.scaling.factor': 4,
        'llama.rope.scaling.original_context_length': 64,
        'llama.rope.scaling.attn_factor': 2,
      },
      { type: 'yarn', factor: 4, originalContextLength: 64, magnitude: 2 + 0.2 * Math.log(4) },
    ],
    [{ 'llama.rope.scaling.attn_factor': 2 }, { type: 'linear', factor: 1, magnitude: 2 }],
  ])('%j scales the rotations by %j', async (changes, expected) => {
    const { ropeScaling } = readConfig('x.gguf', await changed(changes));
    if (expected) expect(ropeScaling).toMatchObject(expected);
    else expect(ropeScaling).toBeUndefined();
  });

  it('refuses unsupported tokenizers and lists of the wrong length', async () => {
    const bert = await changed({ 'tokenizer.ggml.model': 'bert' });
    expect(await codeOf(() => readTokenizer('x.gguf', bert))).toBe('gguf-unsupported-feature');
    const unmerged = await changed({ 'tokenizer.ggml.model': 'gpt2' });
    expect(await codeOf(() => readTokenizer('x.gguf', unmerged))).toBe('gguf-damaged');
    const ending = await changed({ 'tokenizer.ggml.eot_token_id': 7, 'tokenizer.ggml.eom_token_id': 9 });
    expect(readTokenizer('x.gguf', ending).endIds).toEqual([7, 9]);
    const unknown = await changed({
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.merges': ['a b'],
      'tokenizer.ggml.pre': 'koala',
    });
    expect(() => readTokenizer('x.gguf', unknown)).toThrow(/koala/);
    const known = await changed({
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.merges': ['a b'],
      'tokenizer.ggml.pre': 'tekken',
    });
    expect(readTokenizer('x.gguf', known)).toMatchObject({
      model: 'gpt2',
      pre: 'tekken',
      merges: ['a b'],
      addSpacePrefix: false,
    });
    const short = await changed({ 'tokenizer.ggml.scores': [1, 2] });
    expect(await codeOf(() => readTokenizer('x.gguf', short))).toBe('gguf-damaged');
  });
});
