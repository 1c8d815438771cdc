/** Control tokens, user-defined tokens and tokens that end an answer, for both kinds of tokenizers. */
import { type TokenId, tokenId } from '../../src/contract/ids.ts';
import type { TokenizerData } from '../format/manifest.ts';

/** Types of tokens, with GGUF's numbers. */
export const TOKEN_TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

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
/** Markers of turns, for example `<|im_start|>`. */
const MARKER = /^<\|[^|]+\|>$/;

/**
 * The token types with corrections. Some files declare markers like `<|im_start|>` as user-defined tokens. Those are
 * recognized in any text, so a user's message could begin a new turn. As control tokens they are recognized only
 * in templates.
 */
export function effectiveTokenTypes({ tokens, tokenTypes }: TokenizerData): number[] {
  return tokens.map((piece, id) => {
    const isMarker = tokenTypes[id] === TOKEN_TYPE.userDefined && MARKER.test(piece);
    return isMarker || ALWAYS_ENDS.has(piece) ? TOKEN_TYPE.control : tokenTypes[id];
  });
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
  /** Texts of the control tokens, longest first. */
  readonly controlPieces: readonly string[];
  /** Tokens that end an answer. */
  readonly endIds: ReadonlySet<TokenId>;
  readonly #userDefined: readonly string[];
  readonly #all: readonly string[];

  constructor(data: TokenizerData) {
    this.controlPieces = piecesOf(data, TOKEN_TYPE.control);
    this.endIds = endOfGenerationIds(data);
    this.#userDefined = piecesOf(data, TOKEN_TYPE.userDefined);
    this.#all = piecesOf(data, TOKEN_TYPE.userDefined, TOKEN_TYPE.control, TOKEN_TYPE.unknown);
  }

  /**
   * Cuts a text at user-defined tokens and, if `parseSpecial` is set, at control tokens and the unknown token. Lone
   * surrogates become U+FFFD, as in every UTF-8 encoder.
   */
  split(text: string, parseSpecial: boolean): { text: string; special: boolean }[] {
    return splitAt(text.toWellFormed(), parseSpecial ? this.#all : this.#userDefined);
  }
}
