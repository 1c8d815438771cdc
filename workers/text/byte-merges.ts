/** The merge list of a byte-level BPE vocabulary, with symbols as numbers. */
import type { TokenId } from '../../src/contract/ids.ts';
import { BYTE_CHARACTERS } from '../format/pre-tokenizers.ts';
import type { Joined } from './merge-symbols.ts';

/** More than the number of symbols that a merge list can have, so that a pair of symbols is one number. */
const PAIR = 2 ** 24;

/** Numbers the symbols: the 256 bytes first, then everything that a merge joins or makes. */
export class ByteMerges {
  /** Text of each symbol in the byte alphabet. */
  readonly #texts: string[] = [...BYTE_CHARACTERS];
  readonly #joined = new Map<number, Joined>();
  /** The tokens of each symbol. */
  readonly #tokens: (readonly TokenId[])[];

  /**
   * @param merges as `left right`, highest priority first
   * @param ids the tokens that ordinary text may become, by their pieces
   */
  constructor(merges: readonly string[], ids: ReadonlyMap<string, TokenId>) {
    const numbers = new Map(this.#texts.map((text, symbol) => [text, symbol]));
    const numberOf = (text: string): number => {
      const known = numbers.get(text);
      if (known !== undefined) return known;
      numbers.set(text, this.#texts.length);
      return this.#texts.push(text) - 1;
    };
    for (const [rank, merge] of merges.entries()) {
      const [left, right, ...rest] = merge.split(' ');
      // No symbol contains a space, and none is empty.
      if (!left || !right || rest.length > 0) continue;
      const pair = numberOf(left) * PAIR + numberOf(right);
      this.#joined.set(pair, { rank, symbol: numberOf(left + right) });
    }
    this.#tokens = this.#texts.map((text) => {
      const id = ids.get(text);
      // The result of a merge may not be in the vocabulary. Then its bytes are used, as far as the vocabulary has them.
      return id !== undefined ? [id] : [...text].flatMap((character) => ids.get(character) ?? []);
    });
  }

  /** What two neighbouring symbols become; undefined if no merge joins them. */
  readonly join = (left: number, right: number): Joined | undefined => this.#joined.get(left * PAIR + right);

  /** The tokens of a symbol; a byte is its own symbol. */
  tokensOf(symbol: number): readonly TokenId[] {
    return this.#tokens[symbol];
  }
}
