/** Vocabularies of any size for synthetic models: bytes, characters, and merges that build common English words. */

/** The most frequent words of English prose. */
const WORDS =
  'the and of to a in that was he it his with is for as had you not be her on at by which have or from this him ' +
  'but all she they were my are me one their so an said them we who would been will no when there if more out ' +
  'up into do any your what has man could other than our some very time upon about may its only now like little ' +
  'then can should did us such great before must two these see know over much down after first good men own ' +
  'never most old day where those come';

/** Id of the first ordinary piece. Before it come one unknown token, two control tokens and the 256 bytes. */
export const FIRST_PIECE = 3 + 256;

/** A vocabulary as a GGUF has it: one entry per token in each list. */
export interface Vocabulary {
  tokens: string[];
  scores: number[];
  /** GGUF's numbers: 1 normal, 2 unknown, 3 control, 6 byte. */
  tokenTypes: number[];
}

/** Texts of the tokens 0, 1 and 2. */
const SPECIALS = ['<unk>', '<s>', '</s>'];

/**
 * A byte-level BPE vocabulary: special tokens, the 256 bytes, then pieces in GPT-2's alphabet, with the merges that
 * build words letter by letter.
 * @param size number of tokens
 * @param characters the alphabet: one character per byte
 * @throws RangeError if `size` is too small for the words
 */
export function byteBpeVocabulary(size: number, characters: readonly string[]): Vocabulary & { merges: string[] } {
  const merges: string[] = [];
  const pieces = new Set<string>();
  const blank = characters[32];
  for (const word of WORDS.split(' ')) {
    for (const whole of [word, `${blank}${word}`]) {
      for (let length = 2; length <= whole.length; length++) {
        const piece = whole.slice(0, length);
        if (pieces.has(piece)) continue;
        pieces.add(piece);
        merges.push(`${piece.slice(0, -1)} ${piece.slice(-1)}`);
      }
    }
  }
  // Pre-tokenizers differ in how they cut digits, runs of spaces and newlines, and contractions.
  for (const [left, right] of [
    ['1', '2'],
    ['12', '3'],
    [blank, blank],
    [blank + blank, blank + blank],
    [characters[10], characters[10]],
    ["'", 's'],
    ["'", 'S'],
  ]) {
    pieces.add(left + right);
    merges.push(`${left} ${right}`);
  }
  if (size < FIRST_PIECE + pieces.size)
    throw new RangeError(
      `A vocabulary of ${size} tokens is too small. It needs at least ${FIRST_PIECE + pieces.size}.`,
    );
  for (let n = 0; FIRST_PIECE + pieces.size < size; n++) pieces.add(`${blank}piece${n}`);
  const tokens = [...SPECIALS, ...characters, ...pieces];
  return {
    tokens,
    merges,
    scores: tokens.map(() => 0),
    tokenTypes: tokens.map((_, id) => (id < SPECIALS.length ? 3 : 1)),
  };
}

/**
 * A SentencePiece vocabulary: special tokens, the 256 bytes, printable ASCII, then pieces that build words.
 * @param size number of tokens; at least 3 + 256 + 95
 * @throws RangeError if `size` is smaller
 */
export function synthVocabulary(size: number): Vocabulary {
  const tokens = [...SPECIALS];
  const tokenTypes = [2, 3, 3];
  for (let byte = 0; byte < 256; byte++) {
    tokens.push(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
    tokenTypes.push(6);
  }
  const pieces = new Set<string>(['\u2581']);
  for (let code = 33; code < 127; code++) pieces.add(String.fromCharCode(code));
  if (size < FIRST_PIECE + pieces.size)
    throw new RangeError(
      `A vocabulary of ${size} tokens is too small. It needs at least ${FIRST_PIECE + pieces.size}.`,
    );
  // Each word is built from left to right, so the left part of every merge is a piece too.
  for (const word of WORDS.split(' ')) {
    for (let length = 2; length <= word.length + 1; length++) pieces.add(`\u2581${word}`.slice(0, length));
  }
  for (let n = 0; FIRST_PIECE + pieces.size < size; n++) pieces.add(`\u2581piece${n}`);
  for (const piece of [...pieces].slice(0, size - FIRST_PIECE)) {
    tokens.push(piece);
    tokenTypes.push(1);
  }
  const scores = tokens.map((_, id) => (id < FIRST_PIECE ? 0 : FIRST_PIECE - id));
  return { tokens, scores, tokenTypes };
}
