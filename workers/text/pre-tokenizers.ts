/**
 * Cuts a text into words before byte-level BPE merges. Each `tokenizer.ggml.pre` has its regular expressions, with the
 * same results as llama.cpp. White space is Unicode's property, since JavaScript's `\s` also matches U+FEFF.
 */
import type { PreTokenizerName } from '../format/pre-tokenizers.ts';

/** How a text is cut into words. */
export interface PreTokenizer {
  /**
   * Applied one after another, each to all words that the previous ones left. Matches and the text between them become
   * words.
   */
  patterns: readonly RegExp[];
  /** Whether a word that is in the vocabulary becomes one token, even if the merges would not build it. */
  ignoreMerges: boolean;
}

const S = '\\p{White_Space}';
const NOT_S = '\\P{White_Space}';
const CONTRACTIONS = "'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]";
const GPT2 = `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^${S}\\p{L}\\p{N}]+|${S}+(?!${NOT_S})`;
const BLANKS = `${S}*[\\r\\n]+|${S}+(?!${NOT_S})|${S}+`;
const LLAMA3 = `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^${S}\\p{L}\\p{N}]+[\\r\\n]*|${BLANKS}`;
const QWEN2 = LLAMA3.replace('\\p{N}{1,3}', '\\p{N}');
// A letter that is not a-z, and a letter that is not A-Z. Letters without case are both.
const UPPER = '(?=\\p{L})[^a-z]';
const LOWER = '(?=\\p{L})[^A-Z]';
const TEKKEN =
  `[^\\r\\n\\p{L}\\p{N}]?(?:${UPPER})*(?:${LOWER})+|[^\\r\\n\\p{L}\\p{N}]?(?:${UPPER})+(?:${LOWER})*|` +
  `\\p{N}| ?[^${S}\\p{L}\\p{N}]+[\\r\\n/]*|${BLANKS}`;

/** Merges decide about every word. */
const plain = (...patterns: string[]): PreTokenizer => ({
  patterns: patterns.map((pattern) => new RegExp(pattern, 'gu')),
  ignoreMerges: false,
});
/** Words in the vocabulary are not merged. */
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

/** The pre-tokenizer of this name. */
export const preTokenizer = (name: PreTokenizerName = 'default'): PreTokenizer => PRE_TOKENIZERS[name];

/** The words of a text, in order. Concatenated they are the text. */
export function splitWords(text: string, { patterns }: PreTokenizer): string[] {
  let pieces = [text];
  for (const pattern of patterns) pieces = pieces.flatMap((piece) => cut(piece, pattern));
  return pieces;
}

/** The matches in a text and the stretches between them, in order. */
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
