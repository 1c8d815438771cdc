/** Answers of a model with random weights, which would never be JSON by themselves, constrained to schemas. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, describe, expect, it } from 'vitest';
import type { GenerateRequest, GenerateResult } from '../../src/contract/engine-api.ts';
import type { Engine } from '../engine/engine.ts';
import { engineWith } from '../engine/testing.ts';
import { SYNTH_PRESETS } from '../synth/presets.ts';

const SCHEMA = {
  type: 'object',
  properties: {
    name: { type: 'string', minLength: 1, maxLength: 8 },
    age: { type: 'integer', minimum: 0, maximum: 120 },
    moods: { type: 'array', items: { enum: ['calm', 'cross', null] }, minItems: 1, maxItems: 3 },
  },
  required: ['name', 'age', 'moods'],
  additionalProperties: false,
};
const validate = new Ajv2020().compile(SCHEMA);

const engines: Engine[] = [];
afterAll(async () => {
  for (const engine of engines) await engine.unload();
});

/** Loads a model. @returns a function that generates an answer of the schema */
async function loadModel(pre?: 'tekken'): Promise<(more?: Partial<GenerateRequest>) => Promise<GenerateResult>> {
  const { engine, modelId } = await engineWith({
    ...SYNTH_PRESETS.tiny,
    contextLength: 1024,
    ...(pre && { pre, vocabularySize: 1024 }),
  });
  engines.push(engine);
  await engine.load({ modelId }, () => {});
  return (more) =>
    engine.generate(
      { input: { kind: 'text', text: 'the first' }, maxTokens: 500, format: { type: 'json', schema: SCHEMA }, ...more },
      () => {},
    );
}

const sentencePiece = loadModel();

describe.each([
  ['SentencePiece', sentencePiece],
  ['byte-level BPE', loadModel('tekken')],
] as const)('a vocabulary of %s', (_, ready) => {
  it.each([1, 2, 3, 4, 5])(
    'generates JSON that conforms to the schema and ends by itself, seed %i, temperature 1',
    async (seed) => {
      const generate = await ready;
      const { text, finishReason, tokens } = await generate({ sampling: { temperature: 1, seed }, topLogprobs: 3 });
      expect(finishReason).toBe('stop');
      expect(validate(JSON.parse(text)), `${text} ${JSON.stringify(validate.errors)}`).toBe(true);
      // The reported probabilities are the model's own, by which most of these tokens are unlikely.
      expect(tokens.some(({ logprob, top }) => logprob < top[0].logprob)).toBe(true);
      expect((await generate({ sampling: { temperature: 1, seed } })).text).toBe(text);
    },
  );
});

describe('an answer with a format', () => {
  const ready = sentencePiece;

  it('is the beginning of JSON if it is cut off by its length, and says so', async () => {
    const generate = await ready;
    const whole = await generate({ sampling: { seed: 1 } });
    const cut = await generate({ sampling: { seed: 1 }, maxTokens: whole.tokens.length - 1 });
    expect(cut.finishReason).toBe('length');
    expect(whole.text.startsWith(cut.text)).toBe(true);
    expect(() => JSON.parse(cut.text)).toThrow();
    // An answer that is exactly as long as the limit is complete.
    expect((await generate({ sampling: { seed: 1 }, maxTokens: whole.tokens.length })).finishReason).toBe('stop');
  });

  it('ends before a stop text', async () => {
    const generate = await ready;
    const { text, finishReason } = await generate({ sampling: { seed: 1 }, stop: ['"age"'] });
    expect(finishReason).toBe('stop');
    expect(text).toContain('"name"');
    expect(text).not.toContain('age');
  });

  it('leaves the next answer unconstrained', async () => {
    const generate = await ready;
    const free = { sampling: { temperature: 0 }, maxTokens: 12, ignoreEos: true, format: undefined };
    const before = await generate(free);
    await generate({ sampling: { seed: 2 } });
    expect((await generate(free)).text).toBe(before.text);
    expect(before.text).not.toContain('{');
  });

  it('is any object if it has no schema, cut off or complete', async () => {
    const generate = await ready;
    const { text, finishReason } = await generate({ sampling: { seed: 4 }, maxTokens: 60, format: { type: 'json' } });
    expect(text).toMatch(/^\{/);
    if (finishReason === 'stop') expect(JSON.parse(text)).toBeTypeOf('object');
  });

  it.each<[Record<string, unknown>, string]>([
    [{ type: 'string', not: { const: '' } }, 'has not'],
    [{ type: 'string', minLength: 5, maxLength: 3 }, 'minLength'],
    [{ type: 'string', pattern: '(a' }, 'parenthesis'],
    [{ $ref: '#' }, 'no token'],
  ])('is refused before anything is computed if the schema is unsupported: %o', async (schema, message) => {
    const generate = await ready;
    await expect(generate({ format: { type: 'json', schema } })).rejects.toMatchObject({
      code: 'bad-request',
      message: expect.stringContaining(message),
      remedy: expect.stringMatching(/\w|^$/),
    });
    const next = await generate({ sampling: { seed: 1 }, format: { type: 'json', schema: { type: 'boolean' } } });
    expect(next.finishReason).toBe('stop');
  });

  it('cannot ignore the end-of-sequence token', async () => {
    const generate = await ready;
    await expect(generate({ ignoreEos: true })).rejects.toMatchObject({ code: 'bad-request' });
  });
});
