/**
 * Byte-level BPE as in GPT-2 (`tokenizer.ggml.model` is `gpt2`). A text is cut into words. The UTF-8 bytes of a word
 * are written as characters of an alphabet of 256, and neighbours are joined in the order of the merge list.
 */
import { type TokenId, tokenId } from '../../src/contract/ids.ts';
import type { TokenizerData } from '../format/manifest.ts';
import { BYTE_CHARACTERS } from '../format/pre-tokenizers.ts';
import { mergeSymbols } from './merge-symbols.ts';
import { type PreTokenizer, preTokenizer, splitWords } from './pre-tokenizers.ts';
import { SpecialTokens, TOKEN_TYPE } from './special-tokens.ts';
import type { EncodeOptions, Tokenizer } from './tokenizer.ts';

/** Words recur, so their tokens are cached. Above this number of words the cache is emptied, to bound its memory. */
const MAX_CACHED_WORDS = 20_000;

/** The tokenizer of models with `tokenizer.ggml.model` = `gpt2`. */
export class ByteBpeTokenizer implements Tokenizer {
  readonly bosId: TokenId;
  readonly eosId: TokenId;
  readonly vocabularySize: number;
  readonly addsSpacePrefix = false;
  readonly controlPieces: readonly string[];
  readonly #ids = new Map<string, TokenId>();
  readonly #ranks = new Map<string, number>();
  readonly #special: SpecialTokens;
  readonly #pre: PreTokenizer;
  readonly #cachedWords = new Map<string, readonly TokenId[]>();
  readonly #encoder = new TextEncoder();

  constructor(private readonly data: TokenizerData) {
    const { tokens, merges = [] } = data;
    this.bosId = tokenId(data.bosId);
    this.eosId = tokenId(data.eosId);
    this.vocabularySize = tokens.length;
    this.#pre = preTokenizer(data.pre);
    // Of equal pieces the last one counts, as in llama.cpp.
    for (const [id, piece] of tokens.entries()) this.#ids.set(piece, tokenId(id));
    for (const [rank, merge] of merges.entries()) this.#ranks.set(merge, rank);
    this.#special = new SpecialTokens(data);
    this.controlPieces = this.#special.controlPieces;
  }

  encode(text: string, { addBos = false, parseSpecial = false }: EncodeOptions = {}): TokenId[] {
    const ids: TokenId[] = addBos ? [this.bosId] : [];
    for (const { text: part, special } of this.#special.split(text, parseSpecial)) {
      if (special) ids.push(this.#ids.get(part)!);
      else for (const word of splitWords(part, this.#pre)) ids.push(...this.#encodeWord(word));
    }
    return ids;
  }

  bytesOf(id: TokenId): Uint8Array {
    const piece = this.data.tokens[id] ?? '';
    const type = this.data.tokenTypes[id];
    if (type === TOKEN_TYPE.control || type === TOKEN_TYPE.unknown) return new Uint8Array(0);
    if (type === TOKEN_TYPE.userDefined || type === TOKEN_TYPE.marker) return this.#encoder.encode(piece);
    // A character outside the alphabet stands for itself.
    return Uint8Array.from(
      [...piece].flatMap((character) => BYTE_OF.get(character) ?? [...this.#encoder.encode(character)]),
    );
  }

  pieceOf(id: TokenId): string {
    return this.data.tokens[id] ?? '';
  }

  isEndOfGeneration(id: TokenId): boolean {
    return this.#special.endIds.has(id);
  }

  #encodeWord(word: string): readonly TokenId[] {
    const known = this.#cachedWords.get(word);
    if (known) return known;
    const ids = this.#merge(Array.from(this.#encoder.encode(word), (byte) => BYTE_CHARACTERS[byte]));
    if (this.#cachedWords.size >= MAX_CACHED_WORDS) this.#cachedWords.clear();
    this.#cachedWords.set(word, ids);
    return ids;
  }

  /** @param symbols one character of the alphabet per byte */
  #merge(symbols: string[]): TokenId[] {
    if (this.#pre.ignoreMerges) {
      const whole = this.#ids.get(symbols.join(''));
      if (whole !== undefined) return [whole];
    }
    const merged = mergeSymbols(symbols, (left, right) => this.#ranks.get(`${left} ${right}`));
    return merged.flatMap((symbol) => {
      const id = this.#ids.get(symbol);
      if (id !== undefined) return [id];
      // The result of a merge may not be in the vocabulary. Then its bytes are used, as far as the vocabulary has them.
      return [...symbol].flatMap((character) => this.#ids.get(character) ?? []);
    });
  }
}

/** The byte that each character of the alphabet stands for. */
const BYTE_OF = new Map(BYTE_CHARACTERS.map((character, byte) => [character, byte]));
