/**
 * Reads the routing trace of a scored text, as in section 5 of the Mixtral paper: the experts of each token, and what
 * chance would give. Pure functions.
 */
import type { LayerRouting, ScoreResult } from '../../contract/engine-api.ts';
import type { FigureTable } from './figure/csv.ts';

/** A token and the experts that it selected in one layer. */
export interface TokenRouting {
  /** Empty if the token starts a window, or is part of a character that a later token completes. */
  text: string;
  /** In descending order of weight. */
  experts: number[];
}

/** The share of consecutive tokens with the same first choice, if experts were drawn at random. */
export const chanceOfSame = (expertCount: number): number => 1 / expertCount;

/**
 * The share of consecutive tokens with at least one expert in common, if experts were drawn at random:
 * 1 - C(E-k, k) / C(E, k) for k of E experts per token.
 */
export function chanceOfCommon(expertCount: number, expertsPerToken: number): number {
  let noneInCommon = 1;
  for (let i = 0; i < expertsPerToken; i++)
    noneInCommon *= Math.max(0, expertCount - expertsPerToken - i) / (expertCount - i);
  return 1 - noneInCommon;
}

/** @returns the tokens of a trace with the experts that they selected in `layer` */
export function tokensAt(
  { pieces, selectedExperts }: NonNullable<ScoreResult['trace']>,
  layer: number,
  layerCount: number,
): TokenRouting[] {
  // selectedExperts: [tokens, layers, expertsPerToken]
  const expertsPerToken = selectedExperts.length / (pieces.length * layerCount);
  return pieces.map((text, token) => {
    const start = (token * layerCount + layer) * expertsPerToken;
    return { text, experts: [...selectedExperts.subarray(start, start + expertsPerToken)] };
  });
}

/**
 * The text of a token as the page shows it, with signs for invisible characters. A leading space becomes a non-breaking
 * one, so that the space and its word stay on one line and share one background.
 */
export function visible(text: string): string {
  if (text === '') return '·';
  return text
    .replaceAll('\n', '↵\n')
    .replaceAll('\t', '⇥\t')
    .replace(/^ (?=\S)/, '\u200b\u00a0');
}

/** @returns a token and its experts in words, also for screen readers */
export function spoken({ text, experts }: TokenRouting): string {
  const label =
    text === ''
      ? 'no visible text'
      : text.trim() === ''
        ? ({ ' ': 'space', '\n': 'new line' }[text] ?? 'whitespace')
        : `“${text.trim()}”`;
  const [first, ...others] = experts;
  return `${label}: expert ${first}${others.length > 0 ? `, then ${others.join(', ')}` : ''}`;
}

/** @returns a share of 0 .. 1 as a percentage, such as `12.5%` */
export const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)}%`;

/** The experts that each token selected in all layers, best first: a row per token. */
export function tokensTable(trace: NonNullable<ScoreResult['trace']>, layerCount: number): FigureTable {
  const layers = Array.from({ length: layerCount }, (_, layer) => tokensAt(trace, layer, layerCount));
  return {
    columns: [
      'Token',
      'Text',
      ...layers.flatMap(([first], layer) => first.experts.map((_, rank) => `Layer ${layer}, choice ${rank + 1}`)),
    ],
    rows: trace.pieces.map((piece, token) => [token, piece, ...layers.flatMap((tokens) => tokens[token].experts)]),
  };
}

/** Repeats and shares of each layer, with all their digits. */
export function routingTable(routing: readonly LayerRouting[]): FigureTable {
  return {
    columns: [
      'Layer',
      'Same first choice',
      'At least one in common',
      ...routing[0].use.map((_, expert) => `Share of expert ${expert}`),
    ],
    rows: routing.map(({ use, sameFirst, sameAny }, layer) => [layer, sameFirst, sameAny, ...use]),
  };
}
