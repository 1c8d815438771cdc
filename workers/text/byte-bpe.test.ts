/** Byte-level BPE against llama.cpp, on a synthetic vocabulary with every supported pre-tokenizer. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BYTE_CHARACTERS, PRE_TOKENIZERS, type PreTokenizerName } from '../format/pre-tokenizers.ts';
import { byteBpeVocabulary } from '../synth/vocabulary.ts';
import { createTokenizer } from './create-tokenizer.ts';
import { createDetokenizer } from './detokenizer.ts';
import goldens from './golden/byte-bpe.json' with { type: 'json' };
import { preTokenizer, splitWords } from './pre-tokenizers.ts';
import type { Tokenizer } from './tokenizer.ts';

/** A tokenizer with the vocabulary that the goldens were made with. */
const tokenizerOf = (pre: PreTokenizerName): Tokenizer =>
  createTokenizer({
    ...byteBpeVocabulary(1024, BYTE_CHARACTERS),
    model: 'gpt2',
    pre,
    bosId: 1,
    eosId: 2,
    unknownId: 0,
    addBos: true,
    addSpacePrefix: false,
  });

const NAMES = Object.keys(PRE_TOKENIZERS) as PreTokenizerName[];
const decode = (tokenizer: Tokenizer, ids: readonly number[]): string => {
  const detokenizer = createDetokenizer(tokenizer, { continuation: false });
  return ids.map((id) => detokenizer.push(id as never)).join('') + detokenizer.flush();
};

describe('encode', () => {
  it.each(['default', 'gpt-2', 'llama-bpe', 'smaug-bpe', 'qwen2', 'tekken'] as const)(
    'agrees with llama.cpp on every golden text: %s',
    (pre) => {
      const cases = goldens.filter((golden) => golden.pre === pre);
      expect(cases.length).toBeGreaterThan(100);
      const tokenizer = tokenizerOf(pre);
      for (const { text, ids } of cases) expect([text, tokenizer.encode(text)]).toEqual([text, ids]);
    },
  );

  it('recognizes control tokens in templates, but not in user text', () => {
    const tokenizer = tokenizerOf('tekken');
    expect(tokenizer.encode('</s>')).not.toContain(2);
    expect(tokenizer.encode('<s>the</s>', { parseSpecial: true })).toEqual([1, ...tokenizer.encode('the'), 2]);
    expect(tokenizer.encode('the', { addBos: true })[0]).toBe(1);
  });
});

describe('any text', () => {
  const texts = fc.string({ unit: 'binary', maxLength: 40 });

  it.each(NAMES)('is cut into words whose concatenation is the text: %s', (pre) => {
    fc.assert(fc.property(texts, (text) => splitWords(text, preTokenizer(pre)).join('') === text));
  });

  it.each(NAMES)('survives encoding and decoding: %s', (pre) => {
    const tokenizer = tokenizerOf(pre);
    fc.assert(fc.property(texts, (text) => decode(tokenizer, tokenizer.encode(text)) === text));
  });

  it('is never decoded with half a character in between', () => {
    const tokenizer = tokenizerOf('gpt-2');
    const detokenizer = createDetokenizer(tokenizer, { continuation: true });
    const parts = tokenizer.encode('a😀é你').map((id) => detokenizer.push(id));
    expect(parts.join('')).toBe('a😀é你');
    for (const part of parts) expect(part).not.toContain('\ufffd');
  });
});

it('recognizes a user-defined marker of the chat template in the template only', () => {
  const data = byteBpeVocabulary(1024, BYTE_CHARACTERS);
  const id = data.tokens.length;
  const tokenizer = createTokenizer({
    ...data,
    tokens: [...data.tokens, '[INST]'],
    tokenTypes: [...data.tokenTypes, 4],
    model: 'gpt2',
    pre: 'default',
    bosId: 1,
    eosId: 2,
    unknownId: 0,
    addBos: false,
    addSpacePrefix: false,
    chatTemplate: '{{ "[INST]" + messages[0].content }}',
  });
  expect(tokenizer.encode('a [INST] b')).not.toContain(id);
  expect(tokenizer.encode('[INST]', { parseSpecial: true })).toEqual([id]);
  expect(new TextDecoder().decode(tokenizer.bytesOf(id as never))).toBe('[INST]');
});
