/**
 * Main memory behind the slots of the GPU: the same tokens, the reads that a recount predicts, and no memory too much.
 */
import { afterAll, afterEach, expect, it, vi } from 'vitest';
import type { GenerateResult } from '../../src/contract/engine-api.ts';
import { ExpertCache } from '../experts/expert-cache.ts';
import { ExpertSlots } from '../experts/expert-slots.ts';
import { TierRecount } from '../experts/tier-recount-testing.ts';
import { isExpertKey } from '../format/manifest.ts';
import { SYNTH_PRESETS } from '../synth/presets.ts';
import { engineWith } from './testing.ts';

const LAYERS = 4;
const { engine, modelId, store } = await engineWith({ ...SYNTH_PRESETS.tiny, layers: LAYERS, seed: 3 });
afterAll(() => engine.unload());
afterEach(() => {
  vi.restoreAllMocks();
});

const answer = (text = 'the first men'): Promise<GenerateResult> =>
  engine.generate(
    { input: { kind: 'text', text }, maxTokens: 16, sampling: { temperature: 0 }, ignoreEos: true },
    () => {},
  );

const idsOf = ({ tokens }: GenerateResult): number[] => tokens.map(({ id }) => id);

/** Without predictions, what is read depends on nothing but the selected experts. */
function withoutPredictions(): void {
  vi.spyOn(ExpertCache.prototype, 'prefetch').mockImplementation(() => {});
  vi.spyOn(ExpertCache.prototype, 'prefetchRecords').mockImplementation(() => {});
}

/** Follows the engine's steps with a recount. `slots` are those of each layer. */
function followed(slots: number, ramRecords: number, expertsPerToken: number): TierRecount {
  const recount = new TierRecount({ layers: LAYERS, slots, ramRecords, expertsPerToken });
  const { touch, uploadNeeded } = ExpertSlots.prototype;
  const { load } = ExpertCache.prototype;
  vi.spyOn(ExpertSlots.prototype, 'touch').mockImplementation(function (this: ExpertSlots, layer, expert) {
    recount.touch(layer, expert);
    return touch.call(this, layer, expert);
  });
  vi.spyOn(ExpertSlots.prototype, 'uploadNeeded').mockImplementation(function (this: ExpertSlots, ...args) {
    uploadNeeded.apply(this, args);
    recount.upload(args[0], args[1]);
  });
  vi.spyOn(ExpertCache.prototype, 'load').mockImplementation(function (this: ExpertCache, ...args) {
    recount.load(args[0], args[1]);
    return load.apply(this, args);
  });
  return recount;
}

it('reads what a recount of the selected experts predicts, within the budget, with the same tokens', async () => {
  const manifest = (await store.getManifest(modelId))!;
  const { expertCount, expertsPerToken } = manifest.config;
  const expertBytes = manifest.records.find(({ key }) => isExpertKey(key))!.bytes;
  const whole = await engine.load({ modelId, context: 128 }, () => {});
  const expected = idsOf(await answer());
  const slots = 3;
  const gpuBudgetBytes = whole.memory.gpuBytes - LAYERS * (expertCount - slots) * expertBytes;
  withoutPredictions();
  const reads: number[] = [];
  for (const ramRecords of [0, 6, LAYERS * expertCount]) {
    const ramBudgetBytes = ramRecords * expertBytes;
    const loaded = await engine.load({ modelId, context: 128, gpuBudgetBytes, ramBudgetBytes }, () => {});
    expect(loaded.slots).toBe(LAYERS * slots);
    const recount = followed(slots, ramRecords, expertsPerToken);
    const results = [await answer(), await answer('could')];
    expect(idsOf(results[0])).toEqual(expected);
    const bytesRead = results.reduce((sum, { cache }) => sum + cache.bytesRead, 0);
    expect(bytesRead).toBe(recount.reads.length * expertBytes);
    const ramBytes = results[1].memory.ramBytes;
    expect(ramBytes).toBeLessThanOrEqual(ramBudgetBytes);
    if (ramRecords < LAYERS * expertCount) expect(ramBytes).toBe(ramBudgetBytes);
    else expect(recount.reads.length).toBe(new Set(recount.reads).size); // every expert once
    reads.push(recount.reads.length);
    vi.restoreAllMocks();
    withoutPredictions();
  }
  expect(reads[1]).toBeLessThan(reads[0]);
  expect(reads[2]).toBeLessThan(reads[1]);
});

it('an answer that is stopped while experts are read leaves main memory within its budget, and the next is right', async () => {
  const manifest = (await store.getManifest(modelId))!;
  const expertBytes = manifest.records.find(({ key }) => isExpertKey(key))!.bytes;
  const whole = await engine.load({ modelId, context: 128 }, () => {});
  const expected = idsOf(await answer());
  const gpuBudgetBytes = whole.memory.gpuBytes - 4 * LAYERS * expertBytes;
  const ramBudgetBytes = 5 * expertBytes;
  await engine.load({ modelId, context: 128, gpuBudgetBytes, ramBudgetBytes }, () => {});
  for (let tokens = 1; tokens <= 4; tokens++) {
    let seen = 0;
    const { finishReason, memory } = await engine.generate(
      { input: { kind: 'text', text: 'the first men' }, maxTokens: 100, ignoreEos: true },
      ({ type }) => {
        if (type === 'token' && ++seen === tokens) void engine.stop();
      },
    );
    expect(finishReason).toBe('aborted');
    expect(memory.ramBytes).toBeLessThanOrEqual(ramBudgetBytes);
  }
  expect(idsOf(await answer())).toEqual(expected);
});
