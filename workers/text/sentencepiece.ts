/**
 * SentencePiece's BPE from a GGUF's own vocabulary: text to tokens and back. Merging starts from single
 * characters; of all neighbouring pairs that form a piece the one of the highest score is joined first,
 * the leftmost among equals. Characters that no piece covers fall back to their UTF-8 bytes.
 */
import { type TokenId, tokenId } from '../../src/contract/ids.ts';
import type { TokenizerData } from '../format/manifest.ts';
import { MinHeap } from './min-heap.ts';
import { SpecialTokens, TOKEN_TYPE } from './special-tokens.ts';
import type { EncodeOptions, Tokenizer } from './tokenizer.ts';

/** SentencePiece writes a space as this character (U+2581). */
const SPACE = '\u2581';

export class SentencePieceTokenizer implements Tokenizer {
  readonly bosId: TokenId;
  readonly eosId: TokenId;
  readonly vocabularySize: number;
  readonly addsSpacePrefix: boolean;
  readonly controlPieces: readonly string[];
  /** Pieces that ordinary text may become. */
  readonly #ids = new Map<string, TokenId>();
  /** Texts of the pieces that stand for themselves: control and user-defined ones. */
  readonly #specialIds = new Map<string, TokenId>();
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
      const kind = tokenTypes[id];
      // Of equal pieces the first wins: the loop runs backwards.
      if (kind === TOKEN_TYPE.byte) this.#byteIds[byteOf(tokens[id])] = tokenId(id);
      else if (kind === TOKEN_TYPE.control || kind === TOKEN_TYPE.unknown)
        this.#specialIds.set(tokens[id], tokenId(id));
      else this.#ids.set(tokens[id], tokenId(id));
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
        // As llama.cpp: the dummy space stands before the text and after every special token.
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
        return this.#encoder.encode(' \u2047 '); // what SentencePiece writes for it
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

  /** Merges one stretch of text and appends its tokens. O(n log n). */
  #merge(text: string, ids: TokenId[]): void {
    // A linked list of symbols; a symbol that was joined to its left neighbour is empty.
    const symbols = Array.from(text);
    const count = symbols.length;
    const previous = Int32Array.from({ length: count }, (_, i) => i - 1);
    const next = Int32Array.from({ length: count }, (_, i) => (i + 1 < count ? i + 1 : -1));
    const { scores } = this.data;
    interface Pair {
      left: number;
      right: number;
      score: number;
      length: number;
    }
    const queue = new MinHeap<Pair>((a, b) => (a.score === b.score ? a.left < b.left : a.score > b.score));
    const offer = (left: number, right: number): void => {
      if (left < 0 || right < 0) return;
      const id = this.#ids.get(symbols[left] + symbols[right]);
      if (id === undefined) return;
      queue.push({ left, right, score: scores[id], length: symbols[left].length + symbols[right].length });
    };
    for (let i = 1; i < count; i++) offer(i - 1, i);
    for (let pair = queue.pop(); pair; pair = queue.pop()) {
      const { left, right, length } = pair;
      // One of the two was joined with another since: this pair is no more.
      const stale =
        symbols[left] === '' || symbols[right] === '' || symbols[left].length + symbols[right].length !== length;
      if (stale) continue;
      symbols[left] += symbols[right];
      symbols[right] = '';
      next[left] = next[right];
      if (next[right] >= 0) previous[next[right]] = left;
      offer(previous[left], left);
      offer(left, next[left]);
    }
    for (let i = count > 0 ? 0 : -1; i >= 0; i = next[i]) this.#emit(symbols[i], ids);
  }

  #emit(symbol: string, ids: TokenId[]): void {
    const id = this.#ids.get(symbol);
    if (id !== undefined) {
      ids.push(id);
      return;
    }
    for (const byte of this.#encoder.encode(symbol)) ids.push(this.#byteIds[byte] ?? tokenId(this.data.unknownId));
  }
}

/** The byte of a piece like `<0x0A>`. */
function byteOf(piece: string): number {
  return Number.parseInt(piece.slice(3, 5), 16);
}
