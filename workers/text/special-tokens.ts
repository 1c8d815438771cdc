/** Pieces that stand for themselves, in vocabularies of every kind. */
import { type TokenId, tokenId } from '../../src/contract/ids.ts';
import type { TokenizerData } from '../format/manifest.ts';

/** Kinds of pieces, as GGUF numbers them. */
export const TOKEN_TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** Control tokens that end an answer in some models' files beside the declared end of sequence. */
const END_PIECES = new Set([
  '</s>',
  '<|eot_id|>',
  '<|eom_id|>',
  '<|end_of_text|>',
  '<|endoftext|>',
  '<|end|>',
  '<end_of_turn>',
]);

/** Pieces that llama.cpp takes for control tokens that end an answer, whatever kind the file gives them. */
const ALWAYS_ENDS = new Set(['<|im_end|>', '[EOT]']);
/** How markers of turns are spelled. */
const MARKER = /^<\|[^|]+\|>$/;

/**
 * Kinds of pieces as we take them. Files give markers like `<|im_start|>` as user-defined, which are cut out of any text:
 * what a user writes could then begin a turn of its own. As control tokens they are found in templates only.
 */
export function effectiveTokenTypes({ tokens, tokenTypes }: TokenizerData): number[] {
  return tokens.map((piece, id) => {
    const forged = tokenTypes[id] === TOKEN_TYPE.userDefined && MARKER.test(piece);
    return forged || ALWAYS_ENDS.has(piece) ? TOKEN_TYPE.control : tokenTypes[id];
  });
}

/** Pieces of these kinds, longest first. */
function piecesOf({ tokens, tokenTypes }: TokenizerData, ...kinds: number[]): string[] {
  return tokens
    .filter((piece, id) => piece !== '' && kinds.includes(tokenTypes[id]))
    .sort((a, b) => b.length - a.length);
}

/** The declared ends (of sequence, turn, message), and control tokens that are known to end an answer. */
function endOfGenerationIds({ tokens, tokenTypes, eosId, endIds = [] }: TokenizerData): Set<TokenId> {
  const ends = new Set([eosId, ...endIds].map(tokenId));
  for (const [id, piece] of tokens.entries()) {
    if (tokenTypes[id] === TOKEN_TYPE.control && (END_PIECES.has(piece) || ALWAYS_ENDS.has(piece)))
      ends.add(tokenId(id));
  }
  return ends;
}

/** Cuts the special texts out; where several begin at one place the longest is taken. */
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

/** A vocabulary's special tokens, as both tokenizers use them. */
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
   * Cuts out user-defined pieces, and control tokens where `parseSpecial` says so. Lone surrogates are no Unicode text; like every
   * UTF-8 encoder it writes them as U+FFFD.
   */
  split(text: string, parseSpecial: boolean): { text: string; special: boolean }[] {
    return splitAt(text.toWellFormed(), parseSpecial ? this.#all : this.#userDefined);
  }
}
