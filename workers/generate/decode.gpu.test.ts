/** How many readbacks a token costs, by how many of its experts are resident; and that its tokens do not depend on it. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { isExpertKey } from '../../src/contract/weight-layout.ts';
import type { Engine } from '../engine.ts';
import { SYNTH_PRESETS } from '../gguf/synth/presets.ts';
import { Readback } from '../gpu/readback.ts';
import { engineWith } from '../testing.ts';

const LAYERS = 12;
const TOKENS = 48;

afterEach(() => {
  vi.restoreAllMocks();
});

/** Greedy tokens of an answer, and the readbacks between its first and its last one. */
async function answer(engine: Engine) {
  const submit = vi.spyOn(Readback.prototype, 'submit');
  const counts: number[] = [];
  const { tokens, cache } = await engine.generate(
    { input: { kind: 'text', text: 'the first men' }, maxTokens: TOKENS, sampling: { temperature: 0 }, ignoreEos: true },
    (event) => {
      if (event.type === 'token') counts.push(submit.mock.calls.length);
    },
  );
  submit.mockRestore();
  return { ids: tokens.map(({ id }) => id), cache, readbacks: counts.at(-1)! - counts[0] };
}

describe('readbacks', () => {
  it('are one a token with all experts resident, one more for each stall with few missing, one a layer with many', async () => {
    const { engine, modelId, store } = await engineWith({ ...SYNTH_PRESETS.tiny, layers: LAYERS, seed: 3 });
    const loadWith = (gpuBudgetBytes?: number) => engine.load({ modelId, context: 128, gpuBudgetBytes, ramBudgetBytes: 0 }, () => {});

    const whole = await loadWith();
    const resident = await answer(engine);
    expect(resident.cache).toMatchObject({ misses: 0, stalls: 0 });
    expect(resident.readbacks).toBeLessThan(TOKENS + 3);

    // One slot less: only one layer ever misses an expert.
    const expertBytes = (await store.getManifest(modelId))!.records.find(({ key }) => isExpertKey(key))!.bytes;
    const few = await loadWith(whole.memory.gpuBytes - expertBytes / 2);
    expect(few.slots).toBe(whole.slots - 1);
    await answer(engine); // fills the slots
    const stalling = await answer(engine);
    expect(stalling.cache.stalls).toBeGreaterThan(3);
    expect(stalling.cache.stalls).toBeLessThan(TOKENS - 3);
    expect(stalling.ids).toEqual(resident.ids);
    // A stall among tokens that were submitted ahead costs these two as well.
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
