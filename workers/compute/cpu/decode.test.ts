/** Which experts decode predicts, while experts are missing. */
import { afterEach, expect, it, vi } from 'vitest';
import type { LayerIndex } from '../../../src/contract/ids.ts';
import { ExpertCache } from '../../experts/expert-cache.ts';
import { uniformTypes } from '../../synth/synth.ts';
import type { RouterStateOptions } from '../compute.ts';
import { importSynth, loadOnCpu, somePrompt, startGreedy } from './testing.ts';

afterEach(() => vi.restoreAllMocks());

const LAYERS = 4;
const TOKENS = 6;
const PROMPT = somePrompt(5, 400);

/** A model that has memory for the experts of about one token. */
async function streamingModel() {
  const model = await importSynth({
    layers: LAYERS,
    embeddingLength: 256,
    feedForwardLength: 256,
    headCount: 8,
    kvHeadCount: 2,
    expertCount: 8,
    expertsPerToken: 2,
    vocabularySize: 400,
    contextLength: 128,
    seed: 5,
    layout: 'merged',
    types: uniformTypes('Q8_0'),
  });
  const error = await loadOnCpu(model, { ramBudgetBytes: 1 }).catch((failure: Error) => failure);
  const least = Number(/at least (\d+) MB/.exec((error as Error).message)![1]) * 1e6;
  return loadOnCpu(model, { ramBudgetBytes: least });
}

// Both drown the router's scores, so a prediction that knows the position is right whatever a layer adds.
it.each<[string, RouterStateOptions]>([
  ['random experts', { banned: new Set(), randomSeed: 3 }],
  ['noise', { banned: new Set(), noise: { amount: 1000, seed: 3 } }],
])('predicts the experts that later layers select: %s', async (_, options) => {
  const compute = await streamingModel();
  /** The newest prediction for each layer. */
  const predicted = new Map<LayerIndex, number[]>();
  let right = 0;
  let wrong = 0;
  const { prefetch, recordAccess } = ExpertCache.prototype;
  compute.setRouterOptions(options);
  startGreedy(compute);
  const { signal } = new AbortController();
  await compute.prefill({ tokens: PROMPT, position: 0, onProgress: () => {}, signal });
  await compute.sampleFirst();
  vi.spyOn(ExpertCache.prototype, 'prefetch').mockImplementation(function (this: ExpertCache, predictions) {
    for (const { layer, experts } of predictions) predicted.set(layer, [...experts].sort());
    prefetch.call(this, predictions);
  });
  vi.spyOn(ExpertCache.prototype, 'recordAccess').mockImplementation(function (this: ExpertCache, layer, chosen) {
    if (layer > 0) {
      if (predicted.get(layer)?.join() === [...new Set(Array.from(chosen))].sort().join()) right++;
      else wrong++;
    }
    return recordAccess.call(this, layer, chosen);
  });
  const decoder = compute.startDecoding(PROMPT.length, signal);
  for (let i = 0; i < TOKENS; i++) await decoder.nextToken(0);
  compute.destroy();
  expect({ right, wrong }).toEqual({ right: TOKENS * (LAYERS - 1), wrong: 0 });
});
