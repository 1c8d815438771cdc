/** Compares the observation of a token with the forward pass in float64. Runs wherever the engine runs. */
import { expect } from 'vitest';
import type { EngineApi, ObserveRequest } from '../../src/contract/engine-api.ts';
import { ReferencePass } from '../reference/forward.ts';
import { LOGPROB_TOLERANCE } from '../reference/tolerance.ts';
import type { RecordStore } from '../store/store.ts';
import { createTokenizer } from '../text/create-tokenizer.ts';
import { readReference } from './exactness-testing.ts';

/** A length may be off by this share of the length of the residual that it belongs to: f32 sums in another order. */
const LENGTH_TOLERANCE = 1e-4;

export interface ObservedModel {
  engine: Pick<EngineApi, 'observe' | 'tokenize'>;
  store: RecordStore;
  modelId: string;
}

const TEXT = 'the first men of that day had been there before us';

/**
 * Expects every figure of the observation of a token to be that of float64.
 * @param token its index in the windows of a text of about 20 tokens
 */
export async function expectObservationNearFloat64(
  { engine, store, modelId }: ObservedModel,
  { token, context }: Pick<ObserveRequest, 'token' | 'context'>,
): Promise<void> {
  const input = { kind: 'text' as const, text: TEXT };
  const progress: [number, number][] = [];
  const observation = await engine.observe({ input, context, token, top: 3 }, (...done) => progress.push(done));
  const { tokenizer: data, config } = (await store.getManifest(modelId))!;
  const ids = createTokenizer(data).encode(TEXT, { addBos: false });
  const lead = data.addBos ? [data.bosId] : [];
  const start = Math.floor(token / context) * (context - lead.length);
  const window = [...lead, ...ids.slice(start, start + context - lead.length)];
  const position = token % context;

  const pass = new ReferencePass(await readReference(store, modelId));
  for (const id of window.slice(0, position)) pass.add(id);
  const expected = pass.observe(window[position]);
  expect(observation.position).toBe(position);
  expect(progress.at(-1)).toEqual([position + 1, position + 1]);
  expect(observation.layers).toHaveLength(config.layerCount);
  for (const [l, actual] of observation.layers.entries()) {
    const { before, attended, residual, routerLogits, selectedExperts, weights, experts, logprobs } = expected[l];
    const near = (length: number, vector: ArrayLike<number>): void =>
      expect(Math.abs(length - lengthOf(vector))).toBeLessThan(LENGTH_TOLERANCE * lengthOf(residual));
    near(actual.before, before);
    near(
      actual.attention,
      attended.map((x, i) => x - before[i]),
    );
    near(actual.residual, residual);
    expect(actual.selectedExperts).toEqual(selectedExperts);
    for (const [rank, output] of experts.entries()) {
      near(actual.experts[rank], output);
      expect(actual.weights[rank]).toBeCloseTo(weights[rank], 3);
    }
    for (const [expert, score] of routerLogits.entries()) expect(actual.routerLogits[expert]).toBeCloseTo(score, 3);
    expectPrediction(actual, logprobs, window[position + 1]);
  }
}

type Prediction = Pick<Awaited<ReturnType<EngineApi['observe']>>['layers'][number], 'top' | 'next'>;

function expectPrediction({ top, next }: Prediction, logprobs: Float64Array, target: number | undefined): void {
  const sorted = [...logprobs].sort((a, b) => b - a);
  expect(top).toHaveLength(3);
  for (const [rank, { id, logprob }] of top.entries()) {
    expect(Math.abs(logprob - logprobs[id])).toBeLessThan(LOGPROB_TOLERANCE);
    // Of tokens that are equally likely within the tolerance, any may come first.
    expect(Math.abs(logprob - sorted[rank])).toBeLessThan(LOGPROB_TOLERANCE);
  }
  if (target === undefined) {
    expect(next).toBeUndefined();
    return;
  }
  expect(Math.abs(next!.logprob - logprobs[target])).toBeLessThan(LOGPROB_TOLERANCE);
  const likelier = (by: number): number => sorted.filter((x) => x > logprobs[target] + by).length;
  expect(next!.rank).toBeGreaterThanOrEqual(likelier(LOGPROB_TOLERANCE));
  expect(next!.rank).toBeLessThanOrEqual(likelier(-LOGPROB_TOLERANCE));
}

const lengthOf = (vector: ArrayLike<number>): number =>
  Math.sqrt(Array.from(vector).reduce((sum, x) => sum + x * x, 0));
