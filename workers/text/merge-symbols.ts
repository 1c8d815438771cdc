import { MinHeap } from './min-heap.ts';

/** Two neighbouring symbols that could be joined. */
interface Pair {
  /** Index of the left symbol. */
  left: number;
  /** Index of the right symbol. */
  right: number;
  rank: number;
  /** Length of both texts together, by which a pair is recognized as outdated. */
  length: number;
}

/**
 * The merging of both kinds of BPE: joins neighbouring symbols, the pair of the lowest rank first, the leftmost on
 * ties, until no pair has a rank. O(n log n) for n symbols: a heap of pairs over a linked list.
 * @param symbols the text, cut into its smallest units; overwritten
 * @param rankOf rank of a pair of neighbours, or undefined if they may not be joined
 * @returns the symbols that remain, in order
 */
export function mergeSymbols(symbols: string[], rankOf: (left: string, right: string) => number | undefined): string[] {
  const count = symbols.length;
  // A symbol that was joined to its left neighbour becomes empty and leaves the list.
  const previous = Int32Array.from({ length: count }, (_, i) => i - 1);
  const next = Int32Array.from({ length: count }, (_, i) => (i + 1 < count ? i + 1 : -1));
  const queue = new MinHeap<Pair>((a, b) => (a.rank === b.rank ? a.left < b.left : a.rank < b.rank));
  const offer = (left: number, right: number): void => {
    if (left < 0 || right < 0) return;
    const rank = rankOf(symbols[left], symbols[right]);
    if (rank === undefined) return;
    queue.push({ left, right, rank, length: symbols[left].length + symbols[right].length });
  };
  for (let i = 1; i < count; i++) offer(i - 1, i);
  for (let pair = queue.pop(); pair; pair = queue.pop()) {
    const { left, right, length } = pair;
    // If one of the two was joined with another symbol since, the pair no longer exists.
    const isOutdated =
      symbols[left] === '' || symbols[right] === '' || symbols[left].length + symbols[right].length !== length;
    if (isOutdated) continue;
    symbols[left] += symbols[right];
    symbols[right] = '';
    next[left] = next[right];
    if (next[right] >= 0) previous[next[right]] = left;
    offer(previous[left], left);
    offer(left, next[left]);
  }
  return symbols.filter((symbol) => symbol !== '');
}
