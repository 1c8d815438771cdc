/**
 * Random walks through grammars, token by token. Every complete walk must be JSON that an independent validator
 * accepts.
 */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import type { TokenId } from '../../src/contract/ids.ts';
import type { TokenizerData } from '../format/manifest.ts';
import { BYTE_CHARACTERS } from '../format/pre-tokenizers.ts';
import { byteBpeVocabulary, synthVocabulary } from '../synth/vocabulary.ts';
import { createTokenizer } from './create-tokenizer.ts';
import { type GrammarStep, Grammars, loadGrammarLibrary } from './grammar.ts';
import { grammarVocabulary } from './grammar-vocabulary.ts';
import type { Tokenizer } from './tokenizer.ts';

const shared = { bosId: 1, eosId: 2, unknownId: 0, addBos: true };
const sentencePiece = createTokenizer({
  ...shared,
  model: 'llama',
  ...synthVocabulary(1000),
  addSpacePrefix: true,
} as TokenizerData);
const byteBpe = createTokenizer({
  ...shared,
  model: 'gpt2',
  pre: 'tekken',
  ...byteBpeVocabulary(1200, BYTE_CHARACTERS),
  addSpacePrefix: false,
} as TokenizerData);
const library = await loadGrammarLibrary();

const idsOf = ({ allowed }: GrammarStep): TokenId[] =>
  Array.from(allowed, (word, i) => Array.from({ length: 32 }, (_, bit) => ((word >>> bit) & 1 ? i * 32 + bit : -1)))
    .flat()
    .filter((id) => id >= 0) as TokenId[];

/**
 * Walks until the grammar says that the text is complete. After 100 tokens it prefers tokens that close strings and
 * brackets.
 */
async function walk(
  tokenizer: Tokenizer,
  grammars: Grammars,
  schema: unknown,
  seed: number,
): Promise<string | undefined> {
  const bytes: number[] = [];
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  let step = await grammars.begin(schema);
  for (let n = 0; n < 3000; n++) {
    const ids = idsOf(step);
    const closing = ids.filter((id) => /^["\]}]+$/.test(new TextDecoder().decode(tokenizer.bytesOf(id))));
    const from = n > 100 && closing.length > 0 ? closing : ids;
    const id = from[random(from.length)];
    if (step.complete || tokenizer.isEndOfGeneration(id))
      return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes));
    bytes.push(...tokenizer.bytesOf(id));
    step = await grammars.next(id);
  }
  return undefined;
}

const SCHEMAS: Record<string, object> = {
  'an object': { type: 'object' },
  'named properties': {
    type: 'object',
    properties: {
      name: { type: 'string', maxLength: 12 },
      age: { type: 'integer', minimum: 0, maximum: 130 },
      tags: { type: 'array', items: { enum: ['a/b', 'ü"\n\\', 7, null] }, maxItems: 3 },
    },
    required: ['name', 'age'],
  },
  'odd names': {
    type: 'object',
    properties: { 'a/b ü.$*+?()[]{}|^': { const: { x: [1.5, 'y'] } }, '': { type: 'null' } },
    required: [''],
  },
  'a map': { type: 'object', additionalProperties: { type: 'boolean' } },
  lists: {
    type: 'array',
    items: { type: 'array', items: { type: 'number' }, minItems: 1, maxItems: 2 },
    minItems: 2,
    maxItems: 4,
  },
  'a tuple': {
    type: 'array',
    prefixItems: [
      { type: 'integer', exclusiveMinimum: -3, exclusiveMaximum: 3 },
      { type: 'string', minLength: 2, maxLength: 4 },
    ],
    items: { type: 'null' },
    minItems: 3,
  },
  alternatives: {
    anyOf: [
      { type: ['boolean', 'null'] },
      { type: 'integer', minimum: 99, maximum: 101 },
      { type: 'object', properties: { kind: { const: 'x' } }, required: ['kind'] },
    ],
  },
  'a recursive list': {
    $ref: '#/$defs/list',
    $defs: {
      list: {
        type: 'object',
        properties: { next: { anyOf: [{ $ref: '#/$defs/list' }, { type: 'null' }] } },
        required: ['next'],
      },
    },
  },
  'no number below zero': { type: 'integer', minimum: 0 },
  'a number of at least one': { type: 'integer', exclusiveMinimum: 0 },
  'bounds of several digits': { type: 'integer', minimum: -12, maximum: 123 },
  'a pattern': { type: 'string', pattern: '^(\\+[0-9]{1,3} )?[A-Za-z0-9_.-]{2,5}(-\\d\\w|\\.x)$' },
  'a long text': { type: 'string', minLength: 30 },
  anything: {},
};
const FORMATS: Record<string, RegExp> = {
  date: /^\d{4}-[01]\d-[0-3]\d$/,
  time: /^[0-2]\d:[0-5]\d:[0-6]\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/,
  'date-time': /^\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d/,
  duration: /^P[\dYMWDTHS]+$/,
  email: /^[\w.+-]+@[\w.-]+\.[A-Za-z]{2,}$/,
  hostname: /^[a-z0-9.-]+$/,
  ipv4: /^\d{1,3}(\.\d{1,3}){3}$/,
  ipv6: /^[0-9a-f:.]+$/i,
  uuid: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
};

describe.each([
  ['SentencePiece', sentencePiece],
  ['byte-level BPE', byteBpe],
] as const)('walks with a vocabulary of %s', (_, tokenizer) => {
  const grammars = new Grammars(library, grammarVocabulary(tokenizer));

  it.each(Object.entries(SCHEMAS))('%s', async (_name, schema) => {
    const validate = new Ajv2020({ strict: false }).compile(schema);
    let ended = 0;
    for (let seed = 1; seed <= 8; seed++) {
      const text = await walk(tokenizer, grammars, schema, seed);
      if (text === undefined) continue;
      ended += 1;
      expect(validate(JSON.parse(text)), `${text} ${JSON.stringify(validate.errors)}`).toBe(true);
    }
    expect(ended).toBeGreaterThan(3);
  });

  it.each(Object.entries(FORMATS))('a text of the format %s', async (format, pattern) => {
    for (let seed = 1; seed <= 4; seed++) {
      const text = await walk(tokenizer, grammars, { type: 'string', format }, seed);
      if (text !== undefined) expect(JSON.parse(text)).toMatch(pattern);
    }
  });
});

it('allows nothing but an end, and says so, when the answer is complete', async () => {
  const grammars = new Grammars(library, grammarVocabulary(sentencePiece));
  let step = await grammars.begin({ const: 7 });
  expect(step.complete).toBe(false);
  step = await grammars.next(sentencePiece.encode('7', {}).at(-1)!);
  expect(step.complete).toBe(true);
  expect(idsOf(step)).toEqual([sentencePiece.eosId]);
});

it('refuses a vocabulary that cannot write the answer', async () => {
  const letters = {
    ...shared,
    model: 'llama',
    tokens: ['<unk>', '<s>', '</s>', 'a'],
    scores: [0, 0, 0, 0],
    tokenTypes: [2, 3, 3, 1],
    addSpacePrefix: false,
  };
  const grammars = new Grammars(library, grammarVocabulary(createTokenizer(letters as TokenizerData)));
  await expect(grammars.begin({ type: 'object' })).rejects.toMatchObject({ code: 'bad-request' });
});
