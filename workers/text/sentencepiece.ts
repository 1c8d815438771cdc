/**
 * SentencePiece's BPE with a GGUF's own vocabulary (`tokenizer.ggml.model` is `llama`). Merging starts from single
 * characters. Of all neighbouring pairs that form a piece, the one with the highest score is joined first, the leftmost
 * on ties. Characters that are not in the vocabulary become their UTF-8 bytes.
 */
import { type TokenId, tokenId } from '../../src/contract/ids.ts';
import type { TokenizerData } from '../format/manifest.ts';
import { type Joined, mergeSymbols } from './merge-symbols.ts';
import { isFromText, SpecialTokens, TOKEN_TYPE } from './special-tokens.ts';
import type { EncodeOptions, Tokenizer } from './tokenizer.ts';

/** The character that SentencePiece writes for a space. */
const SPACE = '\u2581';

/** Pairs of pieces whose result is cached. Above this number the cache is emptied, to bound its memory. */
const MAX_CACHED_PAIRS = 500_000;

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
  /** What pairs of pieces become; null if they cannot be joined. */
  readonly #joined = new Map<number, Joined | null>();
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
    const { tokens } = this.data;
    // A piece is its own symbol. Characters that are no pieces get numbers above the vocabulary.
    const others = new Map<string, number>();
    const otherTexts: string[] = [];
    const symbolOf = (character: string): number => {
      const known = this.#ids.get(character) ?? others.get(character);
      if (known !== undefined) return known;
      others.set(character, tokens.length + otherTexts.length);
      return tokens.length + otherTexts.push(character) - 1;
    };
    const textOf = (symbol: number): string => tokens[symbol] ?? otherTexts[symbol - tokens.length];
    const joinNew = (left: number, right: number): Joined | undefined => {
      const symbol = this.#ids.get(textOf(left) + textOf(right));
      // The pair that forms the piece of the highest score is joined first.
      return symbol === undefined ? undefined : { rank: -this.data.scores[symbol], symbol };
    };
    const symbols = mergeSymbols(Int32Array.from(Array.from(text, symbolOf)), (left, right) =>
      left < tokens.length && right < tokens.length ? this.#joinPieces(left, right, joinNew) : joinNew(left, right),
    );
    for (const symbol of symbols) {
      if (symbol < tokens.length) ids.push(tokenId(symbol));
      else this.#emitBytes(textOf(symbol), ids);
    }
  }

  /** Remembers what pairs of pieces become, so that their texts are joined and looked up only once. */
  #joinPieces(left: number, right: number, join: JoinSymbols): Joined | undefined {
    const pair = left * this.data.tokens.length + right;
    const known = this.#joined.get(pair);
    if (known !== undefined) return known ?? undefined;
    const joined = join(left, right);
    if (this.#joined.size >= MAX_CACHED_PAIRS) this.#joined.clear();
    this.#joined.set(pair, joined ?? null);
    return joined;
  }

  /** Appends the tokens of a character's bytes. */
  #emitBytes(character: string, ids: TokenId[]): void {
    for (const byte of this.#encoder.encode(character)) ids.push(this.#byteIds[byte] ?? tokenId(this.data.unknownId));
  }
}

type JoinSymbols = (left: number, right: number) => Joined | undefined;

/** The byte of a byte token such as `<0x0A>`. */
function byteOf(piece: string): number {
  return Number.parseInt(piece.slice(3, 5), 16);
}
