/**
 * How many readbacks a token costs at different memory budgets, and that the tokens do not depend on the budget.
 */
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Engine } from '../../../engine/engine.ts';
import { engineWith, holdReads } from '../../../engine/testing.ts';
import { isExpertKey, isExpertKeyOf } from '../../../format/manifest.ts';
import { SYNTH_PRESETS } from '../../../synth/presets.ts';
import { Readback } from '../readback.ts';

const LAYERS = 6;
const TOKENS = 48;

afterEach(() => {
  vi.restoreAllMocks();
});

/**
 * Greedy tokens of an answer, and the readbacks between its first and its last one.
 * @param afterFirst called with the first token
 */
async function answer(engine: Engine, { maxTokens = TOKENS, afterFirst = () => {} } = {}) {
  const submit = vi.spyOn(Readback.prototype, 'submit');
  const counts: number[] = [];
  const { tokens, cache } = await engine.generate(
    {
      input: { kind: 'text', text: 'the first men' },
      maxTokens,
      sampling: { temperature: 0 },
      ignoreEos: true,
    },
    (event) => {
      if (event.type !== 'token') return;
      counts.push(submit.mock.calls.length);
      if (counts.length === 1) afterFirst();
    },
  );
  submit.mockRestore();
  return { ids: tokens.map(({ id }) => id), cache, readbacks: counts.at(-1)! - counts[0] };
}

// A minute is not always enough for four loads and six answers on a busy machine with a software adapter.
describe('readbacks', () => {
  it('are one per token, plus one per stall if few experts are missing, or one per layer if many are', async () => {
    const { engine, modelId, store } = await engineWith({ ...SYNTH_PRESETS.tiny, layers: LAYERS, seed: 3 });
    const loadWith = (gpuBudgetBytes?: number) =>
      engine.load({ modelId, context: 128, gpuBudgetBytes, ramBudgetBytes: 0 }, () => {});

    const whole = await loadWith();
    const resident = await answer(engine);
    expect(resident.cache).toMatchObject({ misses: 0, stalls: 0 });
    expect(resident.readbacks).toBeLessThan(TOKENS + 3);

    // One slot fewer: only one layer can ever miss an expert.
    const expertBytes = (await store.getManifest(modelId))!.records.find(({ key }) => isExpertKey(key))!.bytes;
    const few = await loadWith(whole.memory.gpuBytes - expertBytes / 2);
    expect(few.slots).toBe(whole.slots - 1);
    await answer(engine); // fills the slots
    const stalling = await answer(engine);
    expect(stalling.cache.stalls).toBeGreaterThan(3);
    expect(stalling.cache.stalls).toBeLessThan(TOKENS - 3);
    expect(stalling.ids).toEqual(resident.ids);
    // A stall among tokens in flight also costs the readbacks of the two tokens behind it.
    expect(stalling.readbacks).toBeGreaterThan(TOKENS);
    expect(stalling.readbacks).toBeLessThan(TOKENS + 3 + 3 * stalling.cache.stalls);

    await loadWith(whole.memory.gpuBytes * 0.6);
    await answer(engine);
    const streaming = await answer(engine);
    expect(streaming.ids).toEqual(resident.ids);
    expect(streaming.readbacks).toBeGreaterThan((LAYERS * TOKENS) / 2);
    expect(streaming.readbacks).toBeLessThanOrEqual((LAYERS + 1) * TOKENS);
    await engine.unload();
  });
});

describe('while an expert is being read', () => {
  // Experts of the first layer are never predicted, so a token waits for every read of one.
  const isFirstLayers = (key: string): boolean => isExpertKeyOf(key, 0);

  it.each([
    ['is decoded layerwise', 0.6, 16],
    ['stalls', 0.9, TOKENS],
  ])('the other expert of its layer runs, if the token %s', async (_, share, maxTokens) => {
    const { engine, modelId, store } = await engineWith({ ...SYNTH_PRESETS.tiny, layers: 12, seed: 3 });
    const whole = await engine.load({ modelId, context: 128 }, () => {});
    const resident = await answer(engine, { maxTokens });
    await engine.load(
      { modelId, context: 128, gpuBudgetBytes: whole.memory.gpuBytes * share, ramBudgetBytes: 0 },
      () => {},
    );
    await answer(engine, { maxTokens });
    const submissions: number[] = [];
    const afterFirst = () =>
      holdReads(store, isFirstLayers, (submitted) => {
        submissions.push(submitted);
      });
    const streaming = await answer(engine, { maxTokens, afterFirst });
    expect(streaming.ids).toEqual(resident.ids);
    expect(submissions.length).toBeGreaterThan(3);
    expect(new Set(submissions)).toEqual(new Set([1]));
    await engine.unload();
  });
});
