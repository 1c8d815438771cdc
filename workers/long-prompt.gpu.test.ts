/** Prompts longer than the least that goes through a layer together. */
import { expect, it } from 'vitest';
import type { GenerateResult } from '../src/contract/engine-api.ts';
import { isExpertKey } from '../src/contract/weight-layout.ts';
import { SYNTH_PRESETS } from './gguf/synth/presets.ts';
import { uniformTypes } from './gguf/synth/synth.ts';
import { engineWith } from './testing.ts';

it('reads each expert once where the budget has room for the prompt, and gives the same to the bit where it has not', async () => {
  const { engine, modelId, store } = await engineWith({
    ...SYNTH_PRESETS.tiny, embeddingLength: 64, headCount: 2, kvHeadCount: 1, feedForwardLength: 1024, contextLength: 4800, types: uniformTypes('Q8_0'),
  });
  const experts = (await store.getManifest(modelId))!.records.filter(({ key }) => isExpertKey(key));
  const expertBytes = experts.reduce((sum, { bytes }) => sum + bytes, 0);
  const refused = (await engine.load({ modelId, context: 4800, gpuBudgetBytes: 1 }, () => {}).catch((error: Error) => error)) as Error;
  const least = Number(/at least (\d+) MB/.exec(refused.message)?.[1]) * 1e6;
  /** What a prompt of 4700 tokens takes, read and computed with some experts' slots. */
  const longPrompt = async (gpuBudgetBytes: number): Promise<GenerateResult & { slots: number }> => {
    const { slots } = await engine.load({ modelId, context: 4800, gpuBudgetBytes, ramBudgetBytes: 0 }, () => {});
    const result = await engine.generate(
      { input: { kind: 'text', text: 'x '.repeat(2340) }, maxTokens: 1, sampling: { temperature: 0 }, ignoreEos: true, topLogprobs: 5 }, () => {},
    );
    return { ...result, slots };
  };
  const inParts = await longPrompt(least);
  const whole = await longPrompt(least + 1.5e6);
  expect(whole.promptTokens.length).toBeGreaterThan(4096 + 512);
  expect(whole.slots).toBeLessThan(experts.length);
  expect(whole.cache.bytesRead).toBeLessThanOrEqual(expertBytes);
  expect(inParts.cache.bytesRead).toBeGreaterThan(expertBytes);
  expect(whole.tokens).toEqual(inParts.tokens);
  await engine.unload();
}, 300_000);
