/**
 * SentencePiece's BPE with a GGUF's own vocabulary (`tokenizer.ggml.model` is `llama`). Merging starts from single
 * characters. Of all neighbouring pairs that form a piece, the one with the highest score is joined first, the leftmost
 * on ties. Characters that are not in the vocabulary become their UTF-8 bytes.
 */
import { type TokenId, tokenId } from '../../src/contract/ids.ts';
import type { TokenizerData } from '../format/manifest.ts';
import { mergeSymbols } from './merge-symbols.ts';
import { isFromText, SpecialTokens, TOKEN_TYPE } from './special-tokens.ts';
import type { EncodeOptions, Tokenizer } from './tokenizer.ts';

/** The character that SentencePiece writes for a space. */
const SPACE = '\u2581';

/** The tokenizer of models with `tokenizer.ggml.model` = `llama`. */
export class SentencePieceTokenizer implements Tokenizer {
  readonly bosId: TokenId;
  readonly eosId: TokenId;
  readonly vocabularySize: number;
  readonly addsSpacePrefix: boolean;
  readonly controlPieces: readonly string[];
  /** Pieces that ordinary text may become. */
  readonly #ids = new Map<string, TokenId>();
  /** The control tokens and the unknown token, by their texts. */
  readonly #specialIds = new Map<string, TokenId>();
  /** The token of each byte, if the vocabulary has it. */
  readonly #byteIds: (TokenId | undefined)[] = new Array(256).fill(undefined);
  readonly #special: SpecialTokens;
  readonly #encoder = new TextEncoder();

  constructor(private readonly data: TokenizerData) {
    const { tokens, tokenTypes } = data;
    this.bosId = tokenId(data.bosId);
    this.eosId = tokenId(data.eosId);
    this.vocabularySize = tokens.length;
    this.addsSpacePrefix = data.addSpacePrefix;
    for (let id = tokens.length - 1; id >= 0; id--) {
      const type = tokenTypes[id];
      // The loop runs backwards, so of equal pieces the first one counts.
      if (type === TOKEN_TYPE.byte) this.#byteIds[byteOf(tokens[id])] = tokenId(id);
      else (isFromText(type) ? this.#ids : this.#specialIds).set(tokens[id], tokenId(id));
    }
    this.#special = new SpecialTokens(data);
    this.controlPieces = this.#special.controlPieces;
  }

  encode(text: string, { addBos = false, parseSpecial = false }: EncodeOptions = {}): TokenId[] {
    const ids: TokenId[] = addBos ? [this.bosId] : [];
    const parts = this.#special.split(text, parseSpecial);
    let afterSpecial = true;
    for (const { text: part, special } of parts) {
      if (special) {
        ids.push((this.#specialIds.get(part) ?? this.#ids.get(part))!);
      } else {
        // As in llama.cpp, the dummy space is put before the text and after every special token.
        const prefix = this.data.addSpacePrefix && afterSpecial ? ' ' : '';
        this.#merge((prefix + part).replaceAll(' ', SPACE), ids);
      }
      afterSpecial = special;
    }
    return ids;
  }

  bytesOf(id: TokenId): Uint8Array {
    const piece = this.data.tokens[id] ?? '';
    switch (this.data.tokenTypes[id]) {
      case TOKEN_TYPE.byte:
        return Uint8Array.of(byteOf(piece));
      case TOKEN_TYPE.control:
        return new Uint8Array(0);
      case TOKEN_TYPE.unknown:
        return this.#encoder.encode(' \u2047 '); // as SentencePiece does
      default:
        return this.#encoder.encode(piece.replaceAll(SPACE, ' '));
    }
  }

  pieceOf(id: TokenId): string {
    return this.data.tokens[id] ?? '';
  }

  isEndOfGeneration(id: TokenId): boolean {
    return this.#special.endIds.has(id);
  }

  /** Appends the tokens of a text without special pieces, in which spaces are written as U+2581. */
  #merge(text: string, ids: TokenId[]): void {
    const { scores } = this.data;
    // The pair that forms the piece of the highest score is joined first.
    const symbols = mergeSymbols(Array.from(text), (left, right) => {
      const id = this.#ids.get(left + right);
      return id === undefined ? undefined : -scores[id];
    });
    for (const symbol of symbols) this.#emit(symbol, ids);
  }

  /** Appends the token of a symbol, or those of its bytes if it is not a piece. */
  #emit(symbol: string, ids: TokenId[]): void {
    const id = this.#ids.get(symbol);
    if (id !== undefined) {
      ids.push(id);
      return;
    }
    for (const byte of this.#encoder.encode(symbol)) ids.push(this.#byteIds[byte] ?? tokenId(this.data.unknownId));
  }
}

/** The byte of a byte token such as `<0x0A>`. */
function byteOf(piece: string): number {
  return Number.parseInt(piece.slice(3, 5), 16);
}
