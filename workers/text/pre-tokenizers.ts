/**
 * How byte-level BPE cuts a text into words before it merges: one regular expression for each `tokenizer.ggml.pre`, as
 * llama.cpp understands that name. White space is Unicode's, which JavaScript's `\\s` is not quite.
 */
import type { PreTokenizerName } from '../format/pre-tokenizers.ts';

export interface PreTokenizer {
  /** Applied one after another, each to the pieces that the one before left. */
  patterns: readonly RegExp[];
  /** A word that is a piece as a whole is taken as it is, whatever the merges say. */
  ignoreMerges: boolean;
}

const S = '\\p{White_Space}';
const NOT_S = '\\P{White_Space}';
const CONTRACTIONS = "'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]";
const GPT2 = `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^${S}\\p{L}\\p{N}]+|${S}+(?!${NOT_S})`;
const BLANKS = `${S}*[\\r\\n]+|${S}+(?!${NOT_S})|${S}+`;
const LLAMA3 = `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^${S}\\p{L}\\p{N}]+[\\r\\n]*|${BLANKS}`;
const QWEN2 = LLAMA3.replace('\\p{N}{1,3}', '\\p{N}');
// A letter that is not a-z, and one that is not A-Z: letters without case count as both.
const UPPER = '(?=\\p{L})[^a-z]';
const LOWER = '(?=\\p{L})[^A-Z]';
const TEKKEN = `[^\\r\\n\\p{L}\\p{N}]?(?:${UPPER})*(?:${LOWER})+|[^\\r\\n\\p{L}\\p{N}]?(?:${UPPER})+(?:${LOWER})*|\\p{N}| ?[^${S}\\p{L}\\p{N}]+[\\r\\n/]*|${BLANKS}`;

const plain = (...patterns: string[]): PreTokenizer => ({
  patterns: patterns.map((pattern) => new RegExp(pattern, 'gu')),
  ignoreMerges: false,
});
const whole = (pattern: string): PreTokenizer => ({ ...plain(pattern), ignoreMerges: true });

const PRE_TOKENIZERS: Record<PreTokenizerName, PreTokenizer> = {
  default: plain('[\\p{P}$+<=>^~|]+', GPT2, '\\p{N}+', '[0-9][0-9][0-9]'),
  'gpt-2': plain(GPT2),
  'llama-bpe': whole(LLAMA3),
  llama3: whole(LLAMA3),
  'smaug-bpe': plain(LLAMA3),
  dbrx: plain(LLAMA3),
  qwen2: plain(QWEN2),
  tekken: whole(TEKKEN),
};

export const preTokenizer = (name: PreTokenizerName = 'default'): PreTokenizer => PRE_TOKENIZERS[name];

/** The words of a text, in order; together they are the text. */
export function splitWords(text: string, { patterns }: PreTokenizer): string[] {
  let pieces = [text];
  for (const pattern of patterns) pieces = pieces.flatMap((piece) => cut(piece, pattern));
  return pieces;
}

/** Matches, and what lies between them. */
function cut(text: string, pattern: RegExp): string[] {
  const pieces: string[] = [];
  let end = 0;
  for (const { 0: match, index } of text.matchAll(pattern)) {
    if (match === '') continue;
    if (index > end) pieces.push(text.slice(end, index));
    pieces.push(match);
    end = index + match.length;
  }
  if (end < text.length) pieces.push(text.slice(end));
  return pieces;
}
