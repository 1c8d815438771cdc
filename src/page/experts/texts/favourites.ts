/** The tokens that each expert of a layer likes best. Pure functions. */
import type { Comparison } from '../../state/paper.ts';
import type { FigureTable } from '../figure/csv.ts';
import { wilsonLower } from '../figure/statistics.ts';
import { percent } from '../routing.ts';

/** Rarer tokens say too little about an expert. */
export const MIN_OCCURRENCES = 5;
/** How many tokens are named per expert. */
const MAX_LISTED = 8;

/** A token that an expert processes more often than it processes tokens in general. */
export interface Favourite {
  token: string;
  /** Occurrences in all texts. */
  count: number;
  /** Occurrences that selected the expert. */
  hits: number;
}

/** An expert's favourites, most certain first. */
export interface ExpertFavourites {
  expert: number;
  /** The share of all tokens that selected the expert. */
  base: number;
  favourites: Favourite[];
}

/**
 * For each expert of a layer, the tokens whose lower end of the 95% interval (of how often they select the expert) is
 * above the expert's base rate. Tokens without text of their own are left out.
 */
export function favouriteTokens({ texts, config }: Comparison, layer: number): ExpertFavourites[] {
  const { layerCount, expertsPerToken, expertCount } = config;
  const counts = new Map<string, { count: number; hits: number[] }>();
  const uses = new Array<number>(expertCount).fill(0);
  let tokens = 0;
  for (const { trace } of texts) {
    for (const [index, piece] of trace.pieces.entries()) {
      const start = (index * layerCount + layer) * expertsPerToken;
      const experts = trace.selectedExperts.subarray(start, start + expertsPerToken);
      tokens++;
      for (const expert of experts) uses[expert]++;
      if (piece === '') continue;
      const counted = counts.get(piece) ?? { count: 0, hits: new Array<number>(expertCount).fill(0) };
      counted.count++;
      for (const expert of experts) counted.hits[expert]++;
      counts.set(piece, counted);
    }
  }
  const frequent = [...counts].filter(([, { count }]) => count >= MIN_OCCURRENCES);
  return uses.map((used, expert) => {
    const base = used / tokens;
    const favourites = frequent
      .map(([token, { count, hits }]) => ({ token, count, hits: hits[expert], low: wilsonLower(hits[expert], count) }))
      .filter(({ low }) => low > base)
      .sort((a, b) => b.low - a.low || (a.token < b.token ? -1 : 1))
      .slice(0, MAX_LISTED)
      .map(({ token, count, hits }) => ({ token, count, hits }));
    return { expert, base, favourites };
  });
}

/** The favourites of a layer as CSV has them, one token a row. */
export function favouriteTable(experts: readonly ExpertFavourites[]): FigureTable {
  return {
    columns: ['Expert', 'Token', 'Occurrences', 'Selected the expert', 'Expert’s share of all tokens'],
    rows: experts.flatMap(({ expert, base, favourites }) =>
      favourites.map(({ token, count, hits }) => [expert, token, count, hits, { value: base, text: percent(base) }]),
    ),
  };
}
