/** What the engine makes of requests, in Node with the CPU backend. */
import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { GenerateResult, LoadRequest, SamplingOptions } from '../../src/contract/engine-api.ts';
import { compiledKernels } from '../compute/cpu/testing.ts';
import { Generator } from '../generate/generate.ts';
import { SYNTH_PRESETS } from '../synth/presets.ts';
import type { Engine } from './engine.ts';
import { engineWith } from './testing.ts';

vi.mock('../compute/cpu/compile-kernels.ts', () => ({ compileKernels: async () => compiledKernels() }));

// Node 20 has no navigator. With one core the engine computes without further workers, which Node does not have.
beforeAll(() => {
  vi.stubGlobal('navigator', { hardwareConcurrency: 1 });
});

const { chatTemplate: _template, ...BASE_MODEL } = SYNTH_PRESETS.tiny;
const messages = [{ role: 'user' as const, content: 'Hi' }];

async function loadedWith(request: Partial<LoadRequest> = {}): Promise<Engine> {
  const { engine, modelId } = await engineWith(BASE_MODEL);
  await engine.load({ modelId, compute: 'cpu', ...request }, () => {});
  return engine;
}

const generate = (engine: Engine, sampling: SamplingOptions, input?: string): Promise<GenerateResult> =>
  engine.generate(
    {
      input: input === undefined ? { kind: 'chat', messages } : { kind: 'text', text: input },
      maxTokens: 8,
      sampling,
    },
    () => {},
  );

describe('a chat format that is chosen by hand', () => {
  it('lets a model without a chat template answer', async () => {
    const plain = await loadedWith();
    await expect(generate(plain, {})).rejects.toMatchObject({
      code: 'chat-template',
      remedy: expect.stringContaining('chat format'),
    });
    const { engine, modelId } = await engineWith(BASE_MODEL);
    const { summary } = await engine.load({ modelId, compute: 'cpu', chatFormat: 'alpaca' }, () => {});
    expect(summary.hasChatTemplate).toBe(true);
    const { promptTokens } = await generate(engine, { temperature: 0 });
    const expected = await engine.tokenize('### Instruction:\nHi\n\n### Response:\n');
    expect(promptTokens.slice(-expected.length)).toEqual(expected);
  });

  it('is refused by name if there is none of this name', async () => {
    await expect(loadedWith({ chatFormat: 'vicuna' as 'alpaca' })).rejects.toMatchObject({
      code: 'bad-request',
      message: 'There is no chat format vicuna.',
    });
  });
});

it('refuses a context that cannot fit before it computes anything for it', async () => {
  await expect(loadedWith({ context: 1e9, ramBudgetBytes: 100e6 })).rejects.toMatchObject({
    code: 'ram-budget-too-small',
  });
});

it('draws other tokens for seeds that differ above 32 bits, and refuses what is no whole number', async () => {
  const engine = await loadedWith();
  const texts = new Set<string>();
  for (const seed of [5, 5 + 2 ** 32, -5, 2 ** 60]) texts.add((await generate(engine, { seed }, 'Hi')).text);
  expect(texts.size).toBe(4);
  expect(texts).toContain((await generate(engine, { seed: 5 + 2 ** 32 }, 'Hi')).text);
  await expect(generate(engine, { seed: 1.5 }, 'Hi')).rejects.toMatchObject({ code: 'bad-request' });
});

it('names a biased token that the vocabulary does not have', async () => {
  const engine = await loadedWith();
  await expect(generate(engine, { logitBias: { 7: 1, 512: 1 } }, 'Hi')).rejects.toMatchObject({
    code: 'bad-request',
    message: "The logit bias names token 512; the model's tokens are 0 to 511.",
  });
});

it('stops a load, and loads again afterwards', async () => {
  const { engine, modelId } = await engineWith(BASE_MODEL);
  const load = engine.load({ modelId, compute: 'cpu' }, () => void engine.stop());
  await expect(load).rejects.toMatchObject({ code: 'aborted' });
  expect(await engine.experts()).toBeUndefined();
  await engine.load({ modelId, compute: 'cpu' }, () => {});
  expect(await engine.experts()).toBeDefined();
});

it('refuses a text that cannot fit into the context before it converts it to tokens', async () => {
  const engine = await loadedWith();
  const text = 'a'.repeat(3_900_000);
  const refused = { code: 'context-overflow', message: expect.stringMatching(/^A text of 3900000 characters has at/) };
  await expect(generate(engine, {}, text)).rejects.toMatchObject(refused);
  await expect(engine.tokenize(text, 512)).rejects.toMatchObject(refused);
  // A text that may fit is counted: this one has more tokens than its length tells.
  await expect(generate(engine, {}, 'q!'.repeat(400))).rejects.toMatchObject({
    code: 'context-overflow',
    message: expect.stringMatching(/^The prompt takes/),
  });
});

it('ends an answer at the end of a message that the vocabulary does not have', async () => {
  // The greedy answer of the model, cut where the text of the marker would begin.
  const marker = '<|im_end|>';
  const template = `{% for m in messages %}{{ m.content }}${marker}{% endfor %}`;
  const { engine, modelId } = await engineWith({ ...BASE_MODEL, chatTemplate: template });
  await engine.load({ modelId, compute: 'cpu' }, () => {});
  const endTexts = new Set<unknown>();
  const spy = vi.spyOn(Generator.prototype, 'generate').mockImplementation(async ({ endTexts: texts }) => {
    endTexts.add(texts);
    return {} as GenerateResult;
  });
  await generate(engine, {});
  await generate(engine, {}, 'a text');
  spy.mockRestore();
  expect([...endTexts]).toEqual([[marker], []]);
});
