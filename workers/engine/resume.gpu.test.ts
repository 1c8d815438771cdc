/** An answer that was interrupted continues with the same tokens when the model is loaded again, on both backends. */
import { describe, expect, it } from 'vitest';
import type { GeneratedToken, SamplingOptions } from '../../src/contract/engine-api.ts';
import { SYNTH_PRESETS } from '../synth/presets.ts';
import { engineWith } from './testing.ts';

const SEEDED: SamplingOptions = { temperature: 1.1, topK: 60, topP: 0.97, repetitionPenalty: 1.2, seed: 4711 };

describe.each(['gpu', 'cpu'] as const)('a resumed answer on the %s', (compute) => {
  it.each([
    ['greedy', { temperature: 0 }],
    ['seeded', SEEDED],
  ])('has the same tokens and text, %s', async (_, sampling) => {
    const { engine, modelId } = await engineWith({ ...SYNTH_PRESETS.tiny, seed: 3 });
    const load = () => engine.load({ modelId, compute, threads: 2 }, () => {});
    const request = {
      input: { kind: 'text' as const, text: 'the first men of that day' },
      maxTokens: 24,
      sampling,
      ignoreEos: true,
    };
    await load();
    const whole = await engine.generate(request, () => {});
    for (const cut of [1, 9, 23, 24]) {
      await engine.unload();
      await load();
      const reported: GeneratedToken[] = [];
      const resume = whole.tokens.slice(0, cut);
      const result = await engine.generate({ ...request, resume }, (event) => {
        if (event.type === 'token' && !event.rest) reported.push(event.token);
      });
      expect(result.tokens.map(({ id }) => id)).toEqual(whole.tokens.map(({ id }) => id));
      expect(result.text).toBe(whole.text);
      expect(result.finishReason).toBe('length');
      expect(reported.map(({ id }) => id)).toEqual(whole.tokens.slice(cut).map(({ id }) => id));
      expect(result.promptTokens).toEqual(whole.promptTokens);
    }
    await engine.unload();
  });
});

it('ends at once if nothing is left to generate, and refuses tokens that the model does not have', async () => {
  const { engine, modelId } = await engineWith({ ...SYNTH_PRESETS.tiny, seed: 3 });
  await engine.load({ modelId }, () => {});
  const request = { input: { kind: 'text' as const, text: 'the first' }, maxTokens: 8, sampling: { temperature: 0 } };
  const whole = await engine.generate({ ...request, ignoreEos: true }, () => {});
  const stop = [whole.text.slice(0, 5)];
  const stopped = await engine.generate({ ...request, stop, resume: whole.tokens }, () => {});
  expect([stopped.finishReason, stopped.text]).toEqual(['stop', '']);
  const alien = { ...whole.tokens[0], id: 100_000 as GeneratedToken['id'] };
  await expect(engine.generate({ ...request, resume: [alien] }, () => {})).rejects.toMatchObject({
    code: 'bad-request',
    modelLost: false,
  });
  await engine.unload();
});
