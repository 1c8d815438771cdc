import { describe, expect, it } from 'vitest';
import type { ReferenceToken } from '../reference/judge.ts';
import { sha256Hex } from '../store/hash.ts';
import { EXACTNESS_MODELS } from './exactness-models-testing.ts';
import { PROMPT, TOKENS, TOP } from './exactness-testing.ts';
import text from './golden/llama-cpp.json?raw';
import {
  goldenAnswer,
  type LlamaCppGolden,
  readGolden,
  WRITE_COMMAND,
  withAnswer,
} from './llama-cpp-golden-testing.ts';
import { synthBytes } from './testing.ts';

const golden: LlamaCppGolden = JSON.parse(text);

const fileOf = (name: string, seed = EXACTNESS_MODELS[name].seed) => synthBytes({ ...EXACTNESS_MODELS[name], seed });

describe('the golden answers of llama.cpp', () => {
  it('are there for every model and for no other', () => {
    expect(Object.keys(golden.models)).toEqual(Object.keys(EXACTNESS_MODELS));
    for (const { top } of Object.values(golden.models)) {
      expect(top.map((pairs) => pairs.length)).toEqual(new Array(TOKENS).fill(2 * TOP));
    }
  });

  it('hold for one model, one prompt and one release of llama.cpp only', async () => {
    const file = fileOf('Q4_0');
    const answer = await readGolden('Q4_0', file, golden.llamaCpp);
    const { sha256, top } = golden.models.Q4_0;
    expect(goldenAnswer(answer, sha256)).toEqual({ sha256, top });
    const refused = [
      () => readGolden('Q4_0', fileOf('Q4_0', 1), golden.llamaCpp),
      () => readGolden('Q4_1', file, golden.llamaCpp),
      () => readGolden('another', file, golden.llamaCpp),
      () => readGolden('Q4_0', file, 'another release'),
      () => readGolden('Q4_0', file, golden.llamaCpp, { ...golden, prompt: 'another' }),
    ];
    for (const read of refused) await expect(read()).rejects.toThrow(WRITE_COMMAND);
  });

  it('are written in the order of the models, without models that no longer exist', async () => {
    const token: ReferenceToken = { id: 7, logprob: -1 / 3, top: [{ id: 7, logprob: -1 / 3 }] };
    token.top.push({ id: 9, logprob: -2 });
    const file = new TextEncoder().encode('a model');
    const answer = goldenAnswer([token], await sha256Hex(file));
    const old = JSON.stringify({ ...golden, models: { gone: answer, Q4_1: answer } });
    const written = withAnswer(old, { name: 'F16', answer, llamaCpp: 'new' });
    expect(JSON.parse(written)).toEqual({ llamaCpp: 'new', prompt: PROMPT, models: { F16: answer, Q4_1: answer } });
    expect(Object.keys(JSON.parse(written).models)).toEqual(['F16', 'Q4_1']);
    const read = await readGolden('F16', file, 'new', JSON.parse(written));
    expect(read).toEqual([{ id: 7, logprob: -0.333333, top: [{ id: 7, logprob: -0.333333 }, token.top[1]] }]);
  });

  it('name the likeliest token first', () => {
    const top = [
      { id: 7, logprob: -1 },
      { id: 9, logprob: -2 },
    ];
    expect(() => goldenAnswer([{ ...top[1], top }], '')).toThrow('not the likeliest');
    expect(() => goldenAnswer([{ id: 7, logprob: -1.5, top }], '')).toThrow('not the likeliest');
  });
});
