import { MinHeap } from './min-heap.ts';

/** What two neighbouring symbols become. */
export interface Joined {
  /** The pair of the lowest rank is joined first. */
  rank: number;
  /** Number of the joined symbol, different from those of both halves. */
  symbol: number;
}

/**
 * The merging of both kinds of BPE: joins neighbouring symbols, the pair of the lowest rank first, the leftmost on
 * ties, until no pair can be joined. O(n log n) for n symbols: a heap of pairs over a linked list. Symbols are numbers,
 * so a step takes the same time however long the texts have become.
 * @param symbols the text, cut into its smallest units, as numbers from 0; overwritten
 * @param join what two neighbours become, or undefined if they may not be joined
 * @returns the symbols that remain, in order
 */
export function mergeSymbols(
  symbols: Int32Array<ArrayBuffer>,
  join: (left: number, right: number) => Joined | undefined,
): Int32Array {
  const count = symbols.length;
  const previous = new Int32Array(count).map((_, i) => i - 1);
  const next = new Int32Array(count).map((_, i) => (i + 1 < count ? i + 1 : GONE));
  const pairs = new Pairs(count, symbols);
  const offer = (left: number, right: number): void => {
    if (left < 0 || right < 0) return;
    const joined = join(symbols[left], symbols[right]);
    if (joined) pairs.push(left, right, joined);
  };
  for (let i = 1; i < count; i++) offer(i - 1, i);
  for (let pair = pairs.pop(); pair; pair = pairs.pop()) {
    const { left, right, symbol } = pair;
    symbols[left] = symbol;
    symbols[right] = GONE;
    next[left] = next[right];
    if (next[right] >= 0) previous[next[right]] = left;
    offer(previous[left], left);
    offer(left, next[left]);
  }
  return symbols.filter((symbol) => symbol !== GONE);
}

/** Marks a symbol that was joined to its left neighbour, and the end of the list. */
const GONE = -1;

/** Neighbours that could be joined, best first. Their fields are in typed arrays, which take little memory. */
class Pairs {
  readonly #left: Int32Array;
  readonly #right: Int32Array;
  /** The symbols that the pair was made of. If one of them has changed since, the pair no longer exists. */
  readonly #leftSymbol: Int32Array;
  readonly #rightSymbol: Int32Array;
  readonly #joined: Int32Array;
  readonly #rank: Float64Array;
  readonly #queue: MinHeap<number>;
  #count = 0;

  constructor(
    symbolCount: number,
    private readonly symbols: Int32Array,
  ) {
    // Each pair of neighbours is offered once, and each join offers at most two more.
    const capacity = 3 * symbolCount;
    [this.#left, this.#right, this.#leftSymbol, this.#rightSymbol, this.#joined] = Array.from(
      { length: 5 },
      () => new Int32Array(capacity),
    );
    const rank = new Float64Array(capacity);
    this.#rank = rank;
    const left = this.#left;
    this.#queue = new MinHeap((a, b) => (rank[a] === rank[b] ? left[a] < left[b] : rank[a] < rank[b]));
  }

  push(left: number, right: number, { rank, symbol }: Joined): void {
    const index = this.#count++;
    this.#left[index] = left;
    this.#right[index] = right;
    this.#leftSymbol[index] = this.symbols[left];
    this.#rightSymbol[index] = this.symbols[right];
    this.#joined[index] = symbol;
    this.#rank[index] = rank;
    this.#queue.push(index);
  }

  /** The best pair that still exists. */
  pop(): { left: number; right: number; symbol: number } | undefined {
    for (let index = this.#queue.pop(); index !== undefined; index = this.#queue.pop()) {
      const [left, right] = [this.#left[index], this.#right[index]];
      const exists = this.symbols[left] === this.#leftSymbol[index] && this.symbols[right] === this.#rightSymbol[index];
      if (exists) return { left, right, symbol: this.#joined[index] };
    }
    return undefined;
  }
}
