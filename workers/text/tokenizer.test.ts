/** The SentencePiece tokenizer against llama.cpp, on the built-in model's vocabulary. */
import { openAsBlob } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { readHeader } from '../format/gguf/header.ts';
import { readTokenizer } from '../format/gguf/tokenizer-data.ts';
import type { TokenizerData } from '../format/manifest.ts';
import { BlobByteSource } from '../import/byte-source.ts';
import { synthVocabulary } from '../synth/vocabulary.ts';
import { createTokenizer } from './create-tokenizer.ts';
import { createDetokenizer } from './detokenizer.ts';
import bare from './golden/bare.json' with { type: 'json' };
import goldens from './golden/builtin-vocabulary.json' with { type: 'json' };
import type { Tokenizer } from './tokenizer.ts';

let data: TokenizerData;
let tokenizer: Tokenizer;
beforeAll(async () => {
  const path = join(import.meta.dirname, '..', '..', 'public', 'models', 'builtin.gguf');
  const { metadata } = await readHeader(new BlobByteSource(await openAsBlob(path), path));
  data = readTokenizer(path, metadata);
  tokenizer = createTokenizer(data);
});

const decode = (ids: readonly number[], continuation = false): string => {
  const detokenizer = createDetokenizer(tokenizer, { continuation });
  return ids.map((id) => detokenizer.push(id as never)).join('') + detokenizer.flush();
};

describe('encode', () => {
  it('agrees with llama.cpp on every golden text', () => {
    expect(goldens.length).toBeGreaterThan(100);
    for (const { text, ids } of goldens) expect([text, tokenizer.encode(text)]).toEqual([text, ids]);
  });

  it('agrees with llama.cpp without the dummy space and with user-defined tokens', () => {
    const vocabulary = synthVocabulary(512);
    for (const [n, piece] of ['<tool>', 'th e', '  '].entries()) {
      vocabulary.tokens[511 - n] = piece;
      vocabulary.tokenTypes[511 - n] = 4;
    }
    const own = createTokenizer({ ...data, ...vocabulary, addSpacePrefix: false });
    for (const { text, ids } of bare) expect([text, own.encode(text)]).toEqual([text, ids]);
    for (const { text, special } of bare)
      expect([text, own.encode(text, { parseSpecial: true })]).toEqual([text, special]);
    expect(own.encode('a<tool>the')).toContain(511);
  });

  it('agrees with llama.cpp when special tokens are parsed', () => {
    for (const { text, special } of goldens) {
      expect([text, tokenizer.encode(text, { parseSpecial: true })]).toEqual([text, special]);
    }
  });

  it('puts the beginning-of-sequence token in front only if asked to', () => {
    expect(tokenizer.encode('Hello', { addBos: true })).toEqual([1, ...tokenizer.encode('Hello')]);
  });

  it('never makes a control token of ordinary text', () => {
    for (const text of ['</s>', '<s>', '<unk>', '<0x0A>', ' </s> ']) {
      for (const id of tokenizer.encode(text)) expect([1, 4, 6]).toContain(data.tokenTypes[id]);
      expect(tokenizer.encode(text)).not.toContain(2);
    }
  });

  it('round-trips any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        expect(decode(tokenizer.encode(text))).toBe(text);
      }),
      { numRuns: 500 },
    );
  });

  it('writes lone surrogates as the replacement character', () => {
    expect(decode(tokenizer.encode('a\ud800b'))).toBe('a\ufffdb');
  });

  it('takes time in proportion to the length of the text', () => {
    // With quadratic merging, 200 kB would take minutes.
    expect(
      tokenizer.encode('It was a dark night, and the old house stood still. '.repeat(4000)).length,
    ).toBeGreaterThan(40_000);
  });

  it('uses the first of equal pieces, the unknown token for missing bytes, and user-defined tokens as a whole', () => {
    const vocabulary = synthVocabulary(512);
    const custom = createTokenizer({
      ...data,
      ...vocabulary,
      tokens: [...vocabulary.tokens.slice(0, -1), '<tool>'],
      tokenTypes: vocabulary.tokenTypes.map((type, id) => (id === 511 ? 4 : type === 6 ? 5 : type)),
    });
    expect(custom.encode('a<tool>b', { parseSpecial: false })).toContain(511);
    expect(custom.encode('\u00e9')).toEqual([custom.encode('')[0], 259, 0, 0].filter((id) => id !== undefined));
  });
});

describe('the ends of an answer', () => {
  const withPieces = (
    pieces: Record<number, [piece: string, type: number]>,
    more: Partial<TokenizerData> = {},
  ): Tokenizer => {
    const vocabulary = synthVocabulary(512);
    for (const [id, [piece, type]] of Object.entries(pieces)) {
      vocabulary.tokens[Number(id)] = piece;
      vocabulary.tokenTypes[Number(id)] = type;
    }
    return createTokenizer({ ...data, ...vocabulary, ...more });
  };

  it('are the declared tokens, and known markers whatever type the file gives them', () => {
    const own = withPieces(
      { 509: ['<|im_end|>', 4], 510: ['[EOT]', 1], 511: ['<|eot_id|>', 3], 508: ['<|eot_id|>x', 1] },
      { endIds: [400] },
    );
    const ends = Array.from({ length: 512 }, (_, id) => id).filter((id) => own.isEndOfGeneration(id as never));
    expect(ends).toEqual([2, 400, 509, 510, 511]);
  });

  it('cannot be written by a user, nor can the beginnings of turns', () => {
    const own = withPieces({ 509: ['<|im_end|>', 4], 510: ['<|im_start|>', 4], 511: ['<tool>', 4] });
    const ids = own.encode('<|im_end|><|im_start|>system <tool>');
    expect(ids).not.toContain(509);
    expect(ids).not.toContain(510);
    expect(ids).toContain(511);
    expect(own.controlPieces).toEqual(expect.arrayContaining(['<|im_end|>', '<|im_start|>']));
    expect(own.encode('<|im_start|>', { parseSpecial: true })).toContain(510);
  });
});

describe('streaming decode', () => {
  it('returns the text piece by piece, but never half a character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
        const detokenizer = createDetokenizer(tokenizer, { continuation: false });
        let sofar = '';
        for (const id of tokenizer.encode(text)) {
          sofar += detokenizer.push(id);
          expect(text.startsWith(sofar)).toBe(true);
        }
        expect(sofar + detokenizer.flush()).toBe(text);
      }),
    );
  });

  it('keeps the leading space when it continues a text', () => {
    const ids = tokenizer.encode('world');
    expect(decode(ids)).toBe('world');
    expect(decode(ids, true)).toBe(' world');
  });

  it('returns the replacement character for an incomplete character, and only at the end', () => {
    const ids = tokenizer.encode('😀').slice(0, -1);
    expect(decode(ids, true)).toBe(' \ufffd');
  });

  it('returns nothing for control tokens and knows which ones end an answer', () => {
    expect(decode([1, 2])).toBe('');
    expect(tokenizer.isEndOfGeneration(tokenizer.eosId)).toBe(true);
    expect(tokenizer.isEndOfGeneration(tokenizer.bosId)).toBe(false);
  });
});
