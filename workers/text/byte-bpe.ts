/**
 * Byte-level BPE (GPT-2's kind, `tokenizer.ggml.model = gpt2`): text is cut into words, a word's UTF-8 bytes are written
 * as characters of an alphabet of 256, and neighbours are joined in the order of the merge list.
 */
import { type TokenId, tokenId } from '../../src/contract/ids.ts';
import type { TokenizerData } from '../format/manifest.ts';
import { BYTE_CHARACTERS } from '../format/pre-tokenizers.ts';
import { MinHeap } from './min-heap.ts';
import { type PreTokenizer, preTokenizer, splitWords } from './pre-tokenizers.ts';
import { SpecialTokens, TOKEN_TYPE } from './special-tokens.ts';
import type { EncodeOptions, Tokenizer } from './tokenizer.ts';

/** Words are few and come again and again: what they become is remembered, up to so many. */
const MAX_CACHED_WORDS = 20_000;

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
    // Of equal pieces the last counts, as llama.cpp's table has it.
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
    const kind = this.data.tokenTypes[id];
    if (kind === TOKEN_TYPE.control || kind === TOKEN_TYPE.unknown) return new Uint8Array(0);
    if (kind === TOKEN_TYPE.userDefined) return this.#encoder.encode(piece);
    // A character that is none of the alphabet stands for itself.
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

  #merge(symbols: string[]): TokenId[] {
    if (this.#pre.ignoreMerges) {
      const whole = this.#ids.get(symbols.join(''));
      if (whole !== undefined) return [whole];
    }
    const count = symbols.length;
    const previous = Int32Array.from({ length: count }, (_, i) => i - 1);
    const next = Int32Array.from({ length: count }, (_, i) => (i + 1 < count ? i + 1 : -1));
    interface Pair {
      left: number;
      right: number;
      rank: number;
      text: string;
    }
    const queue = new MinHeap<Pair>((a, b) => (a.rank === b.rank ? a.left < b.left : a.rank < b.rank));
    const offer = (left: number, right: number): void => {
      if (left < 0 || right < 0) return;
      const rank = this.#ranks.get(`${symbols[left]} ${symbols[right]}`);
      if (rank !== undefined) queue.push({ left, right, rank, text: symbols[left] + symbols[right] });
    };
    for (let i = 1; i < count; i++) offer(i - 1, i);
    for (let pair = queue.pop(); pair; pair = queue.pop()) {
      const { left, right, text } = pair;
      if (symbols[left] === '' || symbols[right] === '' || symbols[left] + symbols[right] !== text) continue; // joined otherwise since
      symbols[left] = text;
      symbols[right] = '';
      next[left] = next[right];
      if (next[right] >= 0) previous[next[right]] = left;
      offer(previous[left], left);
      offer(left, next[left]);
    }
    const ids: TokenId[] = [];
    for (let i = count > 0 ? 0 : -1; i >= 0; i = next[i]) {
      const id = this.#ids.get(symbols[i]);
      if (id !== undefined) ids.push(id);
      // A merge without a piece of its own: byte by byte, as far as the vocabulary has them.
      else for (const character of symbols[i]) if (this.#ids.has(character)) ids.push(this.#ids.get(character)!);
    }
    return ids;
  }
}

const BYTE_OF = new Map(BYTE_CHARACTERS.map((character, byte) => [character, byte]));
