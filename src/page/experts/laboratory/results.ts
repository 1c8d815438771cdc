/** The laboratory's perplexities as a table and in words. Pure. */
import { perplexityChange } from '../../state/ablation.ts';
import type { LabResults, LabScore, LabWords } from '../../state/laboratory.ts';
import type { FigureTable } from '../figure/csv.ts';
import { type Change, changeBetween, couldBeNoise } from '../figure/paired-change.ts';

/** One model of the figure. */
export interface LabBar {
  name: string;
  perplexity: number;
  /** Compared with the original model; absent for the original model. */
  change?: Change;
  score: LabScore;
}

/** @returns the models of the figure; none as long as the original model is not known */
export function labBars(rows: readonly LabScore[]): LabBar[] {
  const original = rows.find(({ model }) => model.key === '');
  if (!original) return [];
  return rows.map((score) => ({
    name: score.model.name,
    perplexity: score.perplexity,
    ...(score !== original && { change: changeBetween(original, score) }),
    score,
  }));
}

/** A perplexity with three digits at least. */
export const perplexityText = (perplexity: number): string => perplexity.toFixed(perplexity < 1000 ? 2 : 0);

/** @returns the change of perplexity, such as `+9.5%` or `20.3 times`; empty for the original model */
export const changeText = ({ change }: Pick<LabBar, 'change'>): string =>
  change ? perplexityChange(1, 1 + change.change) : '';

/** @returns everything about one model in words */
export function barWords({ name, perplexity, change }: LabBar): string {
  if (!change) return `${name}: perplexity ${perplexityText(perplexity)}.`;
  const range =
    change.low === undefined
      ? ''
      : ` (95% interval: ${(1 + change.low).toFixed(2)} to ${(1 + change.high!).toFixed(2)} times)`;
  const noise = couldBeNoise(change) ? ' Noise could explain the difference.' : '';
  const times = (1 + change.change).toFixed(2);
  return `${name}: perplexity ${perplexityText(perplexity)}, ${times} times that of the original model${range}.${noise}`;
}

/** @returns which change matters most and which least; empty for fewer than two */
export function labSentence(bars: readonly LabBar[]): string {
  const changed = bars.filter(({ change }) => change).sort((a, b) => b.perplexity - a.perplexity);
  if (changed.length < 2) return '';
  const [most, least] = [changed[0], changed.at(-1)!];
  const verdict = couldBeNoise(least.change!) ? ', which noise could explain' : '';
  return (
    `Perplexity is highest with “${most.name}” (${changeText(most)}) and lowest with “${least.name}” ` +
    `(${changeText(least)}${verdict}).`
  );
}

/** The figure's numbers. Ratios are to the original model. */
export function labTable(bars: readonly LabBar[]): FigureTable {
  const ratio = (share: number | undefined) =>
    share === undefined ? '' : { value: 1 + share, text: (1 + share).toFixed(3) };
  return {
    columns: ['Model', 'Perplexity', 'Times the original', '95% from', 'to', 'Nats per token', 'Tokens scored'],
    rows: bars.map(({ name, perplexity, change, score: { nll, tokens } }) => [
      name,
      { value: perplexity, text: perplexityText(perplexity) },
      ratio(change ? change.change : 0),
      ratio(change?.low),
      ratio(change?.high),
      { value: nll, text: nll.toFixed(4) },
      tokens,
    ]),
  };
}

/** What the models write after the prompt: a row per model. */
export const wordsTable = ({ of, rows }: LabResults<LabWords>): FigureTable => ({
  columns: ['Model', 'Prompt', 'Continuation', 'Complete'],
  rows: rows.map(({ model, words, done }) => [model.name, of, words, done ? 'yes' : 'no']),
});
