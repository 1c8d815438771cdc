/** Perplexity against context length, figure 4 of the Mixtral paper. Pure functions. */
import type { CurvePoint } from '../../state/paper.ts';
import type { FigureTable } from '../figure/csv.ts';
import { changeBetween, couldBeNoise } from '../figure/paired-change.ts';
import { halfInterval } from '../figure/statistics.ts';

/** Shorter contexts say little about a model. */
const SHORTEST = 16;

/**
 * The context lengths to measure: powers of two up to the loaded context. The last one holds the whole text with its
 * BOS, because longer ones would give the same result.
 * @returns at least one length
 */
export function contextLengths(textTokens: number, context: number): number[] {
  const lengths = [Math.min(SHORTEST, context)];
  while (lengths.at(-1)! < textTokens + 1 && 2 * lengths.at(-1)! <= context) lengths.push(2 * lengths.at(-1)!);
  return lengths;
}

/** @returns the 95% interval of the perplexity at a point; undefined if the text is too short to say */
export function interval({ nll, nllError, blocks }: CurvePoint): [low: number, high: number] | undefined {
  if (nllError === undefined) return undefined;
  const half = halfInterval(nllError, blocks.length);
  return [Math.exp(nll - half), Math.exp(nll + half)];
}

/** The curve's numbers. */
export function curveTable(points: readonly CurvePoint[]): FigureTable {
  return {
    columns: ['Context (tokens)', 'Perplexity', '95% from', 'to', 'Nats per token', 'Tokens scored'],
    rows: points.map((point) => {
      const range = interval(point);
      return [
        point.context,
        { value: point.perplexity, text: point.perplexity.toFixed(2) },
        range ? { value: range[0], text: range[0].toFixed(2) } : '',
        range ? { value: range[1], text: range[1].toFixed(2) } : '',
        { value: point.nll, text: point.nll.toFixed(4) },
        point.tokens,
      ];
    }),
  };
}

/** @returns one sentence about the first and the last point */
export function curveSentence(points: readonly CurvePoint[]): string {
  const [first, last] = [points[0], points.at(-1)!];
  if (points.length < 2) return `Perplexity ${first.perplexity.toFixed(2)} with ${first.context} tokens of context.`;
  const found = changeBetween(first, last);
  const { change, low, high } = found;
  const range = low === undefined ? '' : ` (95% interval: ${signed(low)} to ${signed(high!)})`;
  const verdict = couldBeNoise(found) ? ' Noise could explain that.' : '';
  return (
    `From ${first.context} to ${last.context} tokens of context, perplexity changes from ` +
    `${first.perplexity.toFixed(2)} to ${last.perplexity.toFixed(2)}: ${signed(change)}${range}.${verdict}`
  );
}

/** @returns a share as a percentage with its sign */
const signed = (share: number): string => `${share < 0 ? '−' : '+'}${Math.abs(100 * share).toFixed(1)}%`;
