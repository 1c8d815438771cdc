/**
 * Holds an engine to the forward pass in float64. Runs wherever the engine runs: nothing here needs a browser or a GPU.
 */
import { expect } from 'vitest';
import type { ComputeKind, EngineApi, GenerateResult } from '../../src/contract/engine-api.ts';
import type { TokenId } from '../../src/contract/ids.ts';
import { judge, perplexity, type Verdict } from '../reference/judge.ts';
import { type ReferenceModel, readReferenceModel } from '../reference/model.ts';
import { LOGPROB_TOLERANCE, PERPLEXITY_TOLERANCE } from '../reference/tolerance.ts';
import type { RecordStore } from '../store/store.ts';
import { createTokenizer } from '../text/create-tokenizer.ts';

export const PROMPT = 'the first men of that day had been there before us and could';
export const TOKENS = 32;
export const TOP = 5;

/** An engine and the model that it can load, as `engineWith` makes them. */
export interface EngineWithModel {
  engine: Pick<EngineApi, 'load' | 'generate' | 'score' | 'unload'>;
  modelId: string;
  store: RecordStore;
}

/** The answer to {@link PROMPT} that the other helpers compare. */
export const greedy = (engine: Pick<EngineApi, 'generate'>): Promise<GenerateResult> =>
  engine.generate(
    {
      input: { kind: 'text', text: PROMPT },
      maxTokens: TOKENS,
      sampling: { temperature: 0 },
      ignoreEos: true,
      topLogprobs: TOP,
    },
    () => {},
  );

/** Reads a stored model for the forward pass in float64. */
export async function readReference(store: RecordStore, modelId: string): Promise<ReferenceModel> {
  const manifest = (await store.getManifest(modelId))!;
  return readReferenceModel(manifest, (record) => store.readRecord(modelId, record));
}

/** Runs `work` with the model loaded on this backend. */
export async function withLoaded<T>(
  { engine, modelId }: Pick<EngineWithModel, 'engine' | 'modelId'>,
  compute: ComputeKind,
  work: () => Promise<T>,
): Promise<T> {
  const loaded = await engine.load({ modelId, compute }, () => {});
  expect(loaded.compute.kind).toBe(compute);
  try {
    return await work();
  } finally {
    await engine.unload();
  }
}

/**
 * Generates {@link TOKENS} greedy tokens and expects them and their log-probabilities to be those of float64, within
 * `LOGPROB_TOLERANCE`.
 */
export async function expectNearFloat64(
  model: EngineWithModel,
  compute: ComputeKind,
): Promise<{ answer: GenerateResult; verdict: Verdict }> {
  const answer = await withLoaded(model, compute, () => greedy(model.engine));
  return { answer, verdict: expectAnswerNearFloat64(await readReference(model.store, model.modelId), answer) };
}

/**
 * Expects the tokens and log-probabilities of a greedy answer to be those of float64. Of tokens that are equally likely
 * within the tolerance, any may be taken.
 */
export function expectAnswerNearFloat64(reference: ReferenceModel, answer: GenerateResult): Verdict {
  expect(answer.tokens).toHaveLength(TOKENS);
  const verdict = judge(reference, answer.promptTokens, answer.tokens);
  // All three figures appear in the message if one is too large.
  expect(
    Math.max(verdict.worst, verdict.worstChoice),
    `the largest deviation from float64: ${JSON.stringify(verdict)}`,
  ).toBeLessThan(LOGPROB_TOLERANCE);
  return verdict;
}

/** Expects the perplexity of a text of at most one window to be that of float64, within `PERPLEXITY_TOLERANCE`. */
export async function expectPerplexityNearFloat64(
  { engine, modelId, store }: EngineWithModel,
  compute: ComputeKind,
  text: string,
): Promise<void> {
  const { tokenizer: data, config } = (await store.getManifest(modelId))!;
  const tokens: TokenId[] = createTokenizer(data).encode(text, { addBos: data.addBos });
  const result = await withLoaded({ engine, modelId }, compute, () =>
    engine.score({ input: { kind: 'text', text }, context: config.contextLength }, () => {}),
  );
  expect(result.tokens).toBe(tokens.length - 1);
  const expected = perplexity(await readReference(store, modelId), tokens);
  expect(Math.abs(result.perplexity / expected.perplexity - 1)).toBeLessThan(PERPLEXITY_TOLERANCE);
}
