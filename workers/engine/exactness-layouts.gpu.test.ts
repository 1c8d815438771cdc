/**
 * Compares the whole engine with llama.cpp and float64 on different layouts and shapes: fused experts, other numbers of
 * experts, mixed types, split matrices.
 */
import { describe, expect, it } from 'vitest';
import type { GenerateResult } from '../../src/contract/engine-api.ts';
import { LAYOUT_MODELS, ROPE_MODELS } from './exactness-models-testing.ts';
import { greedy } from './exactness-testing.ts';
import { expectExact } from './llama-cpp-testing.ts';
import { engineWith } from './testing.ts';

describe('mixtab agrees with llama.cpp and float64', () => {
  it.each(Object.keys(LAYOUT_MODELS))('%s', async (name) => {
    await expectExact(name);
  });

  let answerNotScaled: Promise<GenerateResult> | undefined;
  const notScaled = () => (answerNotScaled ??= expectExact('RoPE not scaled'));
  it('RoPE not scaled', async () => {
    await notScaled();
  });

  it.each(Object.keys(ROPE_MODELS))('%s', async (name) => {
    const [plain, scaled] = [await notScaled(), await expectExact(name)];
    // The first token's probability differs much from the one without scaling: ignored metadata would fail here.
    expect(Math.abs(plain.tokens[0].logprob - scaled.tokens[0].logprob)).toBeGreaterThan(0.03);
  });

  it('experts of different types, the same to the bit at every budget', async () => {
    const options = LAYOUT_MODELS['experts of one layer in different types'];
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
