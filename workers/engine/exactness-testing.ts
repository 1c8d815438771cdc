/** Compares a synthetic model's greedy tokens and top log-probabilities with llama.cpp's. */
import { expect } from 'vitest';
import type { GenerateResult } from '../../src/contract/engine-api.ts';
import { splitName } from '../format/gguf/split.ts';
import type { ImportInputs } from '../import/import-inputs.ts';
import { referenceTokens } from '../reference/llama-cpp.ts';
import { createSplitSynth, type SynthOptions } from '../synth/synth.ts';
import type { Engine } from './engine.ts';
import { engineWith, synthBlob } from './testing.ts';

const PROMPT = 'the first men of that day had been there before us and could';
const TOKENS = 32;
const TOP = 5;
/** The largest difference that mixtab promises; the observed one is about 0.001. */
const LOGPROB_TOLERANCE = 0.02;

export const greedy = (engine: Engine): Promise<GenerateResult> =>
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

export interface ComparisonOptions extends Pick<ImportInputs, 'maxMatrixBytes'> {
  /** llama.cpp reads the twin as a split GGUF of this many files. */
  twinFiles?: number;
}

/** Runs the model, and its F32 twin (merged layout) in llama.cpp. @returns the model's answer */
export async function expectSameAsLlamaCpp(
  options: SynthOptions,
  { twinFiles, ...more }: ComparisonOptions = {},
): Promise<GenerateResult> {
  const expected = await referenceTokens(
    twinFiles ? splitTwin(options, twinFiles) : synthBlob({ ...options, f32Twin: true }),
    PROMPT,
    {
      count: TOKENS,
      top: TOP,
      context: options.contextLength,
    },
  );
  expect(expected).toHaveLength(TOKENS);
  const { engine, modelId } = await engineWith(options, more);
  await engine.load({ modelId }, () => {});
  const actual = await greedy(engine);
  await engine.unload();

  expect(actual.tokens.map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
  let worst = 0;
  for (const [step, token] of expected.entries()) {
    const ours = new Map(actual.tokens[step].top.map(({ id, logprob }) => [id as number, logprob]));
    for (const { id, logprob } of token.top) {
      // The fifth may swap with the sixth if they are equally likely.
      const mine = ours.get(id) ?? actual.tokens[step].top[TOP - 1].logprob;
      worst = Math.max(worst, Math.abs(mine - logprob));
    }
  }
  expect(worst).toBeLessThan(LOGPROB_TOLERANCE);
  return actual;
}

const splitTwin = (options: SynthOptions, count: number): File[] =>
  createSplitSynth({ ...options, f32Twin: true }, count).map(
    (file, n) => new File([file.read(0, file.size)], splitName({ prefix: 'twin', part: n + 1, count })),
  );
