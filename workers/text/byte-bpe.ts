/**
 * Byte-level BPE as in GPT-2 (`tokenizer.ggml.model` is `gpt2`). A text is cut into words. The UTF-8 bytes of a word
 * are written as characters of an alphabet of 256, and neighbours are joined in the order of the merge list.
 */
import { type TokenId, tokenId } from '../../src/contract/ids.ts';
import type { TokenizerData } from '../format/manifest.ts';
import { BYTE_CHARACTERS } from '../format/pre-tokenizers.ts';
import { ByteMerges } from './byte-merges.ts';
import { mergeSymbols } from './merge-symbols.ts';
import { type PreTokenizer, preTokenizer, splitWords } from './pre-tokenizers.ts';
import { isFromText, SpecialTokens, TOKEN_TYPE } from './special-tokens.ts';
import type { EncodeOptions, Tokenizer } from './tokenizer.ts';

/** Words recur, so their tokens are cached. Above this number of words the cache is emptied, to bound its memory. */
const MAX_CACHED_WORDS = 20_000;
/** Longer words are not cached. They hardly recur, and 20,000 of them would fill the memory. */
const MAX_CACHED_LENGTH = 100;

/** The tokenizer of models with `tokenizer.ggml.model` = `gpt2`. */
export class ByteBpeTokenizer implements Tokenizer {
  readonly bosId: TokenId;
  readonly eosId: TokenId;
  readonly vocabularySize: number;
  readonly addsSpacePrefix = false;
  readonly controlPieces: readonly string[];
  /** Pieces that ordinary text may become. */
  readonly #ids = new Map<string, TokenId>();
  /** Control tokens, markers, the unknown token and user-defined tokens, by their texts. */
  readonly #specialIds = new Map<string, TokenId>();
  readonly #merges: ByteMerges;
  readonly #special: SpecialTokens;
  readonly #pre: PreTokenizer;
  readonly #cachedWords = new Map<string, readonly TokenId[]>();
  readonly #encoder = new TextEncoder();

  constructor(private readonly data: TokenizerData) {
    const { tokens, tokenTypes, merges = [] } = data;
    this.bosId = tokenId(data.bosId);
    this.eosId = tokenId(data.eosId);
    this.vocabularySize = tokens.length;
    this.#pre = preTokenizer(data.pre);
    // Of equal pieces the last one counts, as in llama.cpp.
    for (const [id, piece] of tokens.entries()) {
      const type = tokenTypes[id];
      if (!isFromText(type) || type === TOKEN_TYPE.userDefined) this.#specialIds.set(piece, tokenId(id));
      // A control token must never come from ordinary text, even if its text is a word such as `INST`.
      if (isFromText(type)) this.#ids.set(piece, tokenId(id));
    }
    this.#merges = new ByteMerges(merges, this.#ids);
    this.#special = new SpecialTokens(data);
    this.controlPieces = this.#special.controlPieces;
  }

  encode(text: string, { addBos = false, parseSpecial = false }: EncodeOptions = {}): TokenId[] {
    const ids: TokenId[] = addBos ? [this.bosId] : [];
    for (const { text: part, special } of this.#special.split(text, parseSpecial)) {
      if (special) {
        ids.push(this.#specialIds.get(part)!);
        continue;
      }
      // No `push(...word)`: the arguments of a call are limited to about 100,000.
      for (const word of splitWords(part, this.#pre)) for (const id of this.#encodeWord(word)) ids.push(id);
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
    const ids = this.#mergeWord(this.#encoder.encode(word));
    if (word.length > MAX_CACHED_LENGTH) return ids;
    if (this.#cachedWords.size >= MAX_CACHED_WORDS) this.#cachedWords.clear();
    this.#cachedWords.set(word, ids);
    return ids;
  }

  /** @param bytes of the word in UTF-8 */
  #mergeWord(bytes: Uint8Array): TokenId[] {
    if (this.#pre.ignoreMerges) {
      const whole = this.#ids.get(Array.from(bytes, (byte) => BYTE_CHARACTERS[byte]).join(''));
      if (whole !== undefined) return [whole];
    }
    const merges = this.#merges;
    const ids: TokenId[] = [];
    for (const symbol of mergeSymbols(Int32Array.from(bytes), merges.join)) {
      for (const id of merges.tokensOf(symbol)) ids.push(id);
    }
    return ids;
  }
}

/** The byte that each character of the alphabet stands for. */
const BYTE_OF = new Map(BYTE_CHARACTERS.map((character, byte) => [character, byte]));
