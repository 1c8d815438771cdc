/**
 * Compares a synthetic model's greedy tokens and top log-probabilities with llama.cpp and with float64. Browsers only.
 *
 * llama.cpp runs on the {@link LIVE} models only. Its answers to the others are golden. `VITE_LLAMA_CPP=live` runs it on
 * all models and compares its answers with the golden ones, `VITE_LLAMA_CPP=write` makes them golden.
 */
import { expect } from 'vitest';
import { commands, server } from 'vitest/browser';
import type { GenerateResult } from '../../src/contract/engine-api.ts';
import { splitName } from '../format/gguf/split.ts';
import { judge, type ReferenceToken } from '../reference/judge.ts';
import { LLAMA_CPP_RELEASE, referenceTokens } from '../reference/llama-cpp.ts';
import { sha256Hex } from '../store/hash.ts';
import { createSplitSynth, type SynthOptions } from '../synth/synth.ts';
import { EXACTNESS_MODELS } from './exactness-models-testing.ts';
import {
  expectAnswerNearFloat64,
  greedy,
  PROMPT,
  readReference,
  TOKENS,
  TOP,
  withLoaded,
} from './exactness-testing.ts';
import { goldenAnswer, readGolden, withAnswer } from './llama-cpp-golden-testing.ts';
import { engineWithFile, GpuEngine, synthBlob, synthBytes } from './testing.ts';

/**
 * How far mixtab may be from llama.cpp. Nearly all of the difference, up to 0.011, is due to keys and values: f16 in
 * mixtab, f32 in llama.cpp here.
 */
const LLAMA_CPP_TOLERANCE = 0.02;
/**
 * How far float64 may be from llama.cpp if it does not round keys and values either. The largest seen is 2e-5, and 5e-4
 * with a vocabulary of 131072, over which llama.cpp sums probabilities in f32.
 */
const FLOAT64_TOLERANCE = 1e-3;

/** Models that differ in what llama.cpp reads: weights, vocabulary, a split file with fused matrices, scaled RoPE. */
const LIVE = new Set(['Q5_K', 'a byte-level vocabulary', 'fused gate and up', 'RoPE scaling: yarn']);
const GOLDEN_FILE = 'workers/engine/golden/llama-cpp.json';

const mode = import.meta.env.VITE_LLAMA_CPP as 'live' | 'write' | undefined;
if (mode && mode !== 'live' && mode !== 'write') throw new Error(`VITE_LLAMA_CPP is "live" or "write", not "${mode}".`);

/**
 * Expects a model's greedy tokens and log-probabilities on the GPU to be those of llama.cpp, which runs its F32 twin
 * (merged layout), and those of float64. Expects the same of llama.cpp and float64, so no judge depends on our code
 * alone.
 * @param name of one of the {@link EXACTNESS_MODELS}
 * @returns the model's answer
 */
export async function expectExact(name: string): Promise<GenerateResult> {
  const { twinFiles: _, maxMatrixBytes, ...options } = EXACTNESS_MODELS[name];
  const file = synthBytes(options);
  const expected = await llamaCppAnswer(name, file);
  expect(expected).toHaveLength(TOKENS);
  const { store, modelId } = await engineWithFile(file, { maxMatrixBytes });
  const model = { store, modelId, engine: new GpuEngine(store) };
  const actual = await withLoaded(model, 'gpu', () => greedy(model.engine));

  expect(actual.tokens.map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
  const difference = largestDifference(actual.tokens, expected);
  expect(difference).toBeLessThan(LLAMA_CPP_TOLERANCE);
  const reference = await readReference(model.store, model.modelId);
  const ours = expectAnswerNearFloat64(reference, actual);
  const theirs = judge(reference, actual.promptTokens, expected, { toCache: (x) => x });
  expect(theirs.worst).toBeLessThan(FLOAT64_TOLERANCE);
  if (import.meta.env.VITE_EXACTNESS_TABLE) printRow(name, [ours.worst, theirs.worst, difference, ours.routerMargin]);
  return actual;
}

/** The golden answer of llama.cpp, its own answer which must be the golden one, or a new golden one. */
async function llamaCppAnswer(name: string, file: Uint8Array<ArrayBuffer>): Promise<ReferenceToken[]> {
  if (!mode && !LIVE.has(name)) return readGolden(name, file, LLAMA_CPP_RELEASE);
  const { twinFiles, maxMatrixBytes: _, ...options } = EXACTNESS_MODELS[name];
  const twin = twinFiles ? splitTwin(options, twinFiles) : synthBlob({ ...options, f32Twin: true });
  const live = await referenceTokens(twin, PROMPT, { count: TOKENS, top: TOP, context: options.contextLength });
  const answer = goldenAnswer(live, await sha256Hex(file));
  if (mode === 'write') {
    const path = `${server.config.root}/${GOLDEN_FILE}`;
    const text = await commands.readFile(path);
    await commands.writeFile(path, withAnswer(text, { name, answer, llamaCpp: LLAMA_CPP_RELEASE }));
  } else {
    expect(goldenAnswer(await readGolden(name, file, LLAMA_CPP_RELEASE), answer.sha256)).toEqual(answer);
  }
  return live;
}

function largestDifference(actual: readonly ReferenceToken[], expected: readonly ReferenceToken[]): number {
  const differences = expected.flatMap(({ top }, step) => {
    const ours = new Map(actual[step].top.map(({ id, logprob }) => [id, logprob]));
    // The fifth may swap with the sixth if they are equally likely.
    return top.map(({ id, logprob }) => Math.abs((ours.get(id) ?? actual[step].top[TOP - 1].logprob) - logprob));
  });
  return differences.reduce((a, b) => Math.max(a, b));
}

/** Prints a row of the table in docs/measurements/exactness.md. */
function printRow(name: string, figures: number[]): void {
  const cells = figures.map((x) => (Number.isFinite(x) ? x.toExponential(1) : '-'));
  console.log(`| ${[name, ...cells].join(' | ')} |`);
}

const splitTwin = (options: SynthOptions, count: number): File[] =>
  createSplitSynth({ ...options, f32Twin: true }, count).map(
    (file, n) => new File([file.read(0, file.size)], splitName({ prefix: 'twin', part: n + 1, count })),
  );
