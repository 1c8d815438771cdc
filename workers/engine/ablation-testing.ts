/** Compares a text scored with changed routing with the forward pass in float64. Runs wherever the engine runs. */
import { expect } from 'vitest';
import type { AblationOptions, EngineApi } from '../../src/contract/engine-api.ts';
import { ReferencePass, type ReferenceRoute } from '../reference/forward.ts';
import { changedRoute, noisyOrder, route } from '../reference/router.ts';
import { LOGPROB_TOLERANCE } from '../reference/tolerance.ts';
import type { RecordStore } from '../store/store.ts';
import { createTokenizer } from '../text/create-tokenizer.ts';
import { readReference } from './exactness-testing.ts';

const TEXT = 'the first men of that day had been there before us';
/** Experts per token of the model of these tests. */
const K = 2;
const NOISE = { amount: 1.5, seed: 7 };

/** What the model with changed routing selects, written down independently of the engine's code. */
export const ABLATIONS: [name: string, ablation: AblationOptions, route: ReferenceRoute][] = [
  ['the first choice', { expertsUsed: 1 }, (logits) => changedRoute(logits, K, { ranks: [0, 1] })],
  ['the second choice', { choicesSkipped: 1 }, (logits) => changedRoute(logits, K, { ranks: [1, 2] })],
  [
    'two swapped experts',
    {
      replaced: [
        { expert: 0, by: 1 },
        { expert: 1, by: 0 },
      ],
    },
    (logits) => changedRoute(logits, K, { standIn: (expert) => [1, 0][expert] ?? expert }),
  ],
  [
    'two swapped experts in one layer',
    {
      replaced: [
        { layer: 1, expert: 2, by: 5 },
        { layer: 1, expert: 5, by: 2 },
      ],
    },
    (logits, layer) => changedRoute(logits, K, { standIn: (e) => (layer === 1 ? ({ 2: 5, 5: 2 }[e] ?? e) : e) }),
  ],
  ['one expert for all', { replaced: [{ by: 3 }] }, (logits) => changedRoute(logits, K, { standIn: () => 3 })],
  [
    'one expert for all of a layer',
    { replaced: Array.from({ length: 8 }, (_, expert) => ({ layer: 1, expert, by: 3 })) },
    (logits, layer) => changedRoute(logits, K, { standIn: (expert) => (layer === 1 ? 3 : expert) }),
  ],
  [
    'noise',
    { noise: NOISE },
    (logits, layer, position) => changedRoute(logits, K, { order: noisyOrder(logits, { ...NOISE, layer, position }) }),
  ],
  [
    'a banned expert',
    { banned: [{ expert: 4 }] },
    (logits) =>
      route(
        logits.map((logit, expert) => (expert === 4 ? Number.NaN : logit)),
        K,
      ),
  ],
];

export interface AblatedModel {
  engine: Pick<EngineApi, 'score'>;
  store: RecordStore;
  modelId: string;
}

/** Expects selections and mean log-probability of a text to be those of float64 with this route. */
export async function expectAblationNearFloat64(
  { engine, store, modelId }: AblatedModel,
  ablation: AblationOptions,
  expectedRoute: ReferenceRoute,
): Promise<void> {
  const { tokenizer: data, config } = (await store.getManifest(modelId))!;
  const { layerCount } = config;
  const ids = createTokenizer(data).encode(TEXT, { addBos: data.addBos });
  const request = { input: { kind: 'text' as const, text: TEXT }, context: 64, ablation, trace: true };
  const result = await engine.score(request, () => {});

  const selected: number[][] = [];
  const pass = new ReferencePass(await readReference(store, modelId), {
    route: (...at) => {
      const own = expectedRoute(...at);
      selected.push(own.selectedExperts);
      return own;
    },
  });
  let nll = 0;
  for (const [position, id] of ids.entries()) {
    const logprobs = pass.next(id);
    if (position + 1 < ids.length) nll -= logprobs[ids[position + 1]];
  }
  expect(selected).toHaveLength(ids.length * layerCount);
  const { selectedExperts } = result.trace!;
  for (const [at, experts] of selected.entries()) {
    // An expert that is not used is reported as the first one once more.
    const reported = [...selectedExperts.subarray(K * at, K * (at + 1))];
    expect(reported).toEqual([...experts, ...new Array(K - experts.length).fill(experts[0])]);
  }
  expect(result.tokens).toBe(ids.length - 1);
  expect(Math.abs(result.nll - nll / (ids.length - 1))).toBeLessThan(LOGPROB_TOLERANCE);
}
