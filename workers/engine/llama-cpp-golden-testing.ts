/**
 * Greedy answers of llama.cpp to the models of `exactness-models-testing.ts`, kept in `golden/llama-cpp.json`, so that
 * the tests need not run it on every model.
 */
import type { ReferenceToken } from '../reference/judge.ts';
import { sha256Hex } from '../store/hash.ts';
import { EXACTNESS_MODELS } from './exactness-models-testing.ts';
import { PROMPT } from './exactness-testing.ts';
import golden from './golden/llama-cpp.json' with { type: 'json' };

/** Lets llama.cpp answer again and writes the file. */
export const WRITE_COMMAND =
  'VITE_LLAMA_CPP=write npx vitest run --project gpu workers/engine/exactness.gpu workers/engine/exactness-layouts';

/** The file. */
export interface LlamaCppGolden {
  /** The release of llama.cpp that answered. */
  llamaCpp: string;
  prompt: string;
  /** By name, in the order of {@link EXACTNESS_MODELS}. */
  models: Record<string, GoldenAnswer>;
}

interface GoldenAnswer {
  /** Of the model's GGUF. llama.cpp read the F32 twin, which is made of the same weights. */
  sha256: string;
  /** Per token, likeliest first: `[id, log-probability, id, log-probability, ...]`. The first one was taken. */
  top: number[][];
}

/** llama.cpp is off by 1e-5, and the tests allow 1e-3. */
const round = (logprob: number): number => Number(logprob.toFixed(6));

/** @throws if a token is not the likeliest one, or has another log-probability than in the list of likeliest tokens */
export const goldenAnswer = (answer: readonly ReferenceToken[], sha256: string): GoldenAnswer => ({
  sha256,
  top: answer.map(({ id, logprob, top }) => {
    if (top[0].id !== id || top[0].logprob !== logprob) throw new Error(`Token ${id} is not the likeliest.`);
    return top.flatMap((entry) => [entry.id, round(entry.logprob)]);
  }),
});

/**
 * The golden answer to a model.
 * @param file the model: its bytes must be those that were answered
 * @param llamaCpp the installed release, which must be the one that answered
 * @throws Error if anything has changed, with the command that makes the answers again
 */
export async function readGolden(
  name: string,
  file: Uint8Array<ArrayBuffer>,
  llamaCpp: string,
  { prompt, llamaCpp: release, models }: LlamaCppGolden = golden,
): Promise<ReferenceToken[]> {
  const again = `Let llama.cpp answer again: ${WRITE_COMMAND}`;
  const refuseChange = (what: string, now: string, then?: string): void => {
    if (now !== then) throw new Error(`${what}: ${now} instead of ${then ?? 'nothing'}. ${again}`);
  };
  refuseChange('The release of llama.cpp has changed', llamaCpp, release);
  refuseChange('The prompt has changed', PROMPT, prompt);
  const answer: GoldenAnswer | undefined = models[name];
  refuseChange(`The model "${name}" is not the one that llama.cpp answered`, await sha256Hex(file), answer?.sha256);
  return answer.top.map(fromPairs);
}

function fromPairs(pairs: number[]): ReferenceToken {
  const top: ReferenceToken['top'] = [];
  for (let i = 0; i < pairs.length; i += 2) top.push({ id: pairs[i], logprob: pairs[i + 1] });
  return { ...top[0], top };
}

/** The file's new text after an answer, a line per model. Models that no longer exist are left out. */
export function withAnswer(
  text: string,
  { name, answer, llamaCpp }: { name: string; answer: GoldenAnswer; llamaCpp: string },
): string {
  const known: LlamaCppGolden['models'] = { ...(JSON.parse(text) as LlamaCppGolden).models, [name]: answer };
  const lines = Object.keys(EXACTNESS_MODELS)
    .filter((model) => known[model])
    .map((model) => `    ${JSON.stringify(model)}: ${JSON.stringify(known[model])}`);
  const head = [`"llamaCpp": ${JSON.stringify(llamaCpp)}`, `"prompt": ${JSON.stringify(PROMPT)}`];
  return `{\n  ${head.join(',\n  ')},\n  "models": {\n${lines.join(',\n')}\n  }\n}\n`;
}
