/**
 * Compares the whole engine with llama.cpp and with float64: the first greedy tokens and the top log-probabilities of
 * synthetic models of every weight type, at several GPU budgets. The importer's tests check that both layouts of a file
 * give the same records.
 */
import { describe, expect, it } from 'vitest';
import { TYPE_MODELS } from './exactness-models-testing.ts';
import { expectPerplexityNearFloat64, greedy, PROMPT } from './exactness-testing.ts';
import { expectExact } from './llama-cpp-testing.ts';
import { engineWith } from './testing.ts';

describe('mixtab agrees with llama.cpp and float64', () => {
  it.each(Object.keys(TYPE_MODELS))('%s', async (name) => {
    await expectExact(name);
  });

  it('on the perplexity of a text', async () => {
    await expectPerplexityNearFloat64(await engineWith(TYPE_MODELS['mixed types']), 'gpu', PROMPT.repeat(2));
  });
});

describe('the GPU budget changes no token', () => {
  it.each(['mixed types', 'odd shape', 'gate and up of different types'])('%s', async (name) => {
    const options = TYPE_MODELS[name];
    const { engine, modelId } = await engineWith(options);
    const all = await engine.load({ modelId }, () => {});
    const reference = await greedy(engine);
    expect(reference.cache.misses).toBe(0);
    // The error names the least budget. It and every larger budget must give the same tokens.
    const tooSmall = await engine.load({ modelId, gpuBudgetBytes: 1 }, () => {}).catch((error: Error) => error);
    expect(tooSmall).toMatchObject({ code: 'gpu-budget-too-small' });
    const least = Number(/at least (\d+) MB/.exec((tooSmall as Error).message)?.[1]) * 1e6;
    for (const share of [0, 0.3, 0.7]) {
      const gpuBudgetBytes = least + share * (all.memory.gpuBytes - least);
      const loaded = await engine.load({ modelId, gpuBudgetBytes }, () => {});
      expect(loaded.slots).toBeLessThan(all.slots);
      if (share === 0) expect(loaded.slots).toBeLessThan(options.layers * (options.expertsPerToken + 2));
      const result = await greedy(engine);
      expect(result.tokens.map(({ id, logprob }) => [id, logprob])).toEqual(
        reference.tokens.map(({ id, logprob }) => [id, logprob]),
      );
      expect(result.cache.misses).toBeGreaterThan(0);
    }
    await engine.unload();
  });
});
