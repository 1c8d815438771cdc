/** Observing a token, on the GPU: against float64, and with hardly any memory. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SYNTH_PRESETS } from '../synth/presets.ts';
import { expectObservationNearFloat64, type ObservedModel } from './observe-testing.ts';
import { engineWith } from './testing.ts';

let model: ObservedModel & Awaited<ReturnType<typeof engineWith>>;
beforeAll(async () => {
  model = await engineWith(SYNTH_PRESETS.tiny);
  await model.engine.load({ modelId: model.modelId, compute: 'gpu' }, () => {});
});
afterAll(() => model.engine.unload());

it.each([
  { token: 0, context: 64 },
  { token: 7, context: 64 },
  { token: 13, context: 8 },
])('token $token in windows of $context is what it is in float64', (request) =>
  expectObservationNearFloat64(model, request),
);

it('gives the same figures if experts have to be read, and leaves answers as they were', async () => {
  const { engine, modelId } = model;
  const input = { kind: 'text' as const, text: 'the first men' };
  const answer = () =>
    engine.generate({ input, maxTokens: 6, sampling: { temperature: 0 }, ignoreEos: true }, () => {});
  const observe = () => engine.observe({ input, context: 64, token: 3 }, () => {});
  const before = await answer();
  const resident = await observe();
  expect((await answer()).tokens).toEqual(before.tokens);
  const error = (await engine.load({ modelId, gpuBudgetBytes: 1 }, () => {}).catch((caught: Error) => caught)) as Error;
  await engine.load({ modelId, gpuBudgetBytes: Number(/at least (\d+) MB/.exec(error.message)?.[1]) * 1e6 }, () => {});
  expect(await observe()).toEqual(resident);
  expect((await answer()).tokens).toEqual(before.tokens);
});
