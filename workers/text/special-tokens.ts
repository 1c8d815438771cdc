/** Control tokens, user-defined tokens and tokens that end an answer, for both kinds of tokenizers. */
import { MixtabError } from '../../src/contract/errors.ts';
import { type TokenId, tokenId } from '../../src/contract/ids.ts';
import type { TokenizerData } from '../format/manifest.ts';

/**
 * Types of tokens, with GGUF's numbers. `marker` is our own: a user-defined token that is part of the chat format. It is
 * recognized only in templates, like a control token, but has a text.
 */
export const TOKEN_TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6, marker: 7 } as const;

/** Whether ordinary text may become a token of this type, by merging or because it contains the token's text. */
export const isFromText = (type: number): boolean =>
  type !== TOKEN_TYPE.control && type !== TOKEN_TYPE.unknown && type !== TOKEN_TYPE.marker;

/**
 * Longest text that is cut into tokens. Attack: a pasted file of 100 MB would take minutes and gigabytes, only to exceed
 * the context. A book of 500 pages has a million characters.
 */
const MAX_TEXT_CHARACTERS = 4_000_000;

/** Control tokens that end an answer in some models, besides the end-of-sequence token that the file declares. */
const END_PIECES = new Set([
  '</s>',
  '<|eot_id|>',
  '<|eom_id|>',
  '<|end_of_text|>',
  '<|endoftext|>',
  '<|end|>',
  '<end_of_turn>',
]);

/** Tokens that llama.cpp treats as control tokens that end an answer, whatever type the file gives them. */
const ALWAYS_ENDS = new Set(['<|im_end|>', '[EOT]']);
/** Markers of turns, for example `<|im_start|>`. They are control tokens, so they are not shown in an answer. */
const TURN_MARKER = /^<\|[^|]+\|>$/;
/** Tags around a thought, which are part of the text of an answer and of the conversation's next prompt. */
const THOUGHT = /^(<\/?think(ing)?>|\[\/?THINK\])$/i;
/** White space, also as SentencePiece writes it, and words: templates have them everywhere. */
const ORDINARY = /^[\s\p{L}\p{N}\u2581]*$/u;
/** Shortest text of a token that is part of the chat format. A single `{` or `'` says nothing. */
const MIN_MARKER = 3;
/** Longest text of such a token. Real ones have less than 30 characters. */
const MAX_MARKER = 64;

/**
 * The token types with corrections. Some files declare the markers of their chat format, like `<|im_start|>` or `[INST]`,
 * as user-defined tokens. Those are recognized in any text, so a user's message could begin a new turn. Here they are
 * recognized only in templates.
 */
export function effectiveTokenTypes({ tokens, tokenTypes, chatTemplate = '' }: TokenizerData): number[] {
  const isUserDefined = (id: number): boolean => tokenTypes[id] === TOKEN_TYPE.userDefined;
  const markers = occurringIn(
    chatTemplate,
    new Set(tokens.filter((piece, id) => isUserDefined(id) && isMarker(piece))),
  );
  return tokens.map((piece, id) => {
    if (ALWAYS_ENDS.has(piece)) return TOKEN_TYPE.control;
    if (!isUserDefined(id)) return tokenTypes[id];
    if (TURN_MARKER.test(piece)) return TOKEN_TYPE.control;
    return markers.has(piece) ? TOKEN_TYPE.marker : TOKEN_TYPE.userDefined;
  });
}

/** Whether a text can be a marker of a chat format. */
const isMarker = (piece: string): boolean =>
  piece.length >= MIN_MARKER && piece.length <= MAX_MARKER && !ORDINARY.test(piece) && !THOUGHT.test(piece);

/**
 * The pieces that occur in a text. Takes time for each length of a piece, not for each piece: a hostile file may declare
 * a hundred thousand.
 */
function occurringIn(text: string, pieces: ReadonlySet<string>): Set<string> {
  const found = new Set<string>();
  for (const length of new Set(Array.from(pieces, (piece) => piece.length))) {
    for (let at = 0; at + length <= text.length; at++) {
      const part = text.slice(at, at + length);
      if (pieces.has(part)) found.add(part);
    }
  }
  return found;
}

/** Texts of the tokens of these types, longest first. */
function piecesOf({ tokens, tokenTypes }: TokenizerData, ...types: number[]): string[] {
  return tokens
    .filter((piece, id) => piece !== '' && types.includes(tokenTypes[id]))
    .sort((a, b) => b.length - a.length);
}

/** The declared ends (of sequence, turn, message) and the control tokens that are known to end an answer. */
function endOfGenerationIds({ tokens, tokenTypes, eosId, endIds = [] }: TokenizerData): Set<TokenId> {
  const ends = new Set([eosId, ...endIds].map(tokenId));
  for (const [id, piece] of tokens.entries()) {
    if (tokenTypes[id] === TOKEN_TYPE.control && (END_PIECES.has(piece) || ALWAYS_ENDS.has(piece)))
      ends.add(tokenId(id));
  }
  return ends;
}

/**
 * Ends of a message that the chat template writes and the vocabulary does not have, for example ChatML's with an older
 * vocabulary. The model writes them as ordinary text, so an answer ends at that text.
 */
export function endTextsOf({ tokens, chatTemplate = '' }: Pick<TokenizerData, 'tokens' | 'chatTemplate'>): string[] {
  const written = [...END_PIECES, ...ALWAYS_ENDS].filter((piece) => chatTemplate.includes(piece));
  if (written.length === 0) return [];
  const pieces = new Set(tokens);
  return written.filter((piece) => !pieces.has(piece));
}

/**
 * Cuts a text at special texts.
 * @param specials longest first: if several begin at the same position, the longest counts
 */
function splitAt(text: string, specials: readonly string[]): { text: string; special: boolean }[] {
  let parts = text === '' ? [] : [{ text, special: false }];
  for (const special of specials) {
    if (!text.includes(special)) continue;
    parts = parts.flatMap((part) => {
      if (part.special) return [part];
      return part.text
        .split(special)
        .flatMap((between, i) => [
          ...(i > 0 ? [{ text: special, special: true }] : []),
          ...(between === '' ? [] : [{ text: between, special: false }]),
        ]);
    });
  }
  return parts;
}

/** The special tokens of a vocabulary. */
export class SpecialTokens {
  /** Texts of the tokens that only templates may write, longest first. */
  readonly controlPieces: readonly string[];
  /** Tokens that end an answer. */
  readonly endIds: ReadonlySet<TokenId>;
  readonly #userDefined: readonly string[];
  readonly #all: readonly string[];

  constructor(data: TokenizerData) {
    this.controlPieces = piecesOf(data, TOKEN_TYPE.control, TOKEN_TYPE.marker);
    this.endIds = endOfGenerationIds(data);
    this.#userDefined = piecesOf(data, TOKEN_TYPE.userDefined);
    this.#all = piecesOf(data, TOKEN_TYPE.userDefined, TOKEN_TYPE.marker, TOKEN_TYPE.control, TOKEN_TYPE.unknown);
  }

  /**
   * Cuts a text at user-defined tokens and, if `parseSpecial` is set, at control tokens and the unknown token. Lone
   * surrogates become U+FFFD, as in every UTF-8 encoder.
   * @throws MixtabError `context-overflow` if the text is longer than MAX_TEXT_CHARACTERS
   */
  split(text: string, parseSpecial: boolean): { text: string; special: boolean }[] {
    if (text.length > MAX_TEXT_CHARACTERS) {
      throw new MixtabError(
        'context-overflow',
        `A text has ${text.length} characters. At most ${MAX_TEXT_CHARACTERS} can be converted to tokens.`,
        'Shorten it.',
      );
    }
    return splitAt(text.toWellFormed(), parseSpecial ? this.#all : this.#userDefined);
  }
}
