/** Turns the observation of a token into what the figure and its table show. Pure functions. */
import type { Observation, ObservedLayer } from '../../../contract/engine-api.ts';
import type { Cell, FigureTable } from '../figure/csv.ts';
import { percent, visible } from '../routing.ts';

/** One layer of the figure. */
export interface LayerRow {
  layer: number;
  /** The router's score of each expert, before the softmax. */
  scores: number[];
  /** The softmax of these scores: how much the router prefers each expert. */
  preferences: number[];
  /** The experts that the router chooses, best first. */
  experts: { expert: number; weight: number; score: number; length: number }[];
  /** Lengths of the residual that enters the layer, of what attention adds, and of the residual after the layer. */
  before: number;
  attention: number;
  residual: number;
  /** The likeliest next tokens if the model ended here. */
  predictions: { text: string; probability: number }[];
  /** The token that really follows. */
  next?: { probability: number; rank: number };
}

/** @returns one row per layer, first layer first */
export function layerRows({ layers }: Observation): LayerRow[] {
  return layers.map((layer, index) => ({
    layer: index,
    scores: layer.routerLogits,
    preferences: softmax(layer.routerLogits),
    experts: layer.selectedExperts.map((expert, rank) => ({
      expert,
      weight: layer.weights[rank],
      score: layer.routerLogits[expert],
      length: layer.experts[rank],
    })),
    before: layer.before,
    attention: layer.attention,
    residual: layer.residual,
    predictions: layer.top.map(({ text = '', logprob }) => ({ text, probability: Math.exp(logprob) })),
    ...nextOf(layer),
  }));
}

const nextOf = ({ next }: ObservedLayer): Pick<LayerRow, 'next'> =>
  next ? { next: { probability: Math.exp(next.logprob), rank: next.rank } } : {};

/** `exp(x) / sum of exp(x)`, by element. */
export function softmax(scores: readonly number[]): number[] {
  const largest = Math.max(...scores);
  const exponentials = scores.map((score) => Math.exp(score - largest));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  return exponentials.map((e) => e / sum);
}

/** The longest vector of the figure, for its scale. */
export const longest = (rows: readonly LayerRow[]): number =>
  Math.max(
    ...rows.flatMap(({ attention, residual, experts }) => [attention, residual, ...experts.map((s) => s.length)]),
  );

/** The first layer from which on the model's first prediction stays what it is at the end. */
export function settledAt(rows: readonly LayerRow[]): number {
  const final = rows.at(-1)!.predictions[0].text;
  let layer = rows.length - 1;
  while (layer > 0 && rows[layer - 1].predictions[0].text === final) layer--;
  return layer;
}

/** A token's text in quotation marks, with signs for what is invisible. */
export const quoted = (text: string): string => `“${visible(text).replaceAll('\u200b', '').replace(/\n$/, '')}”`;

/** A length with three digits. */
export const formatLength = (length: number): string => (length >= 100 ? length.toFixed(0) : length.toPrecision(3));

/** A probability such as `12.3%` or `<0.1%`. */
export const formatProbability = (p: number): string => (p > 0 && p < 0.001 ? '<0.1%' : percent(p));

/** @returns what happens to the token in one layer, in two or three sentences */
export function layerSentences({ layer, experts, attention, residual, predictions, next }: LayerRow): string[] {
  const chosen = experts
    .map(({ expert, weight }) => `expert ${expert} with weight ${percent(weight, 0)}`)
    .join(' and ');
  const added = experts.map(({ expert, length }) => `expert ${expert} one of ${formatLength(length)}`).join(', ');
  const [first] = predictions;
  return [
    `In layer ${layer}, the router chooses ${chosen}.`,
    `Attention adds a vector of length ${formatLength(attention)}, ${added}; the residual has length ${formatLength(residual)} afterwards.`,
    `If the model ended here, it would predict ${quoted(first.text)} (${formatProbability(first.probability)}).${
      next ? ` The token that really follows has ${formatProbability(next.probability)}, place ${next.rank + 1}.` : ''
    }`,
  ];
}

/** All numbers of the rows, a row per layer. */
export function layersTable(rows: readonly LayerRow[]): FigureTable {
  const experts = rows[0].scores.map((_, expert) => expert);
  const choices = rows[0].experts.map((_, rank) => rank + 1);
  return {
    columns: [
      'Layer',
      ...experts.map((expert) => `Score of expert ${expert}`),
      ...experts.map((expert) => `Preference for expert ${expert}`),
      ...choices.flatMap((choice) => [`Choice ${choice}`, `Weight of choice ${choice}`, `Choice ${choice} adds`]),
      'Attention adds',
      'Residual before',
      'Residual after',
      'Prediction',
      'Its probability',
      'Probability of the next token',
      'Its place',
    ],
    rows: rows.map(
      ({ layer, scores, preferences, experts: chosen, before, attention, residual, predictions, next }) => [
        layer,
        ...scores.map((score) => number(score, score.toFixed(2))),
        ...preferences.map((share) => number(share, percent(share))),
        ...chosen.flatMap(({ expert, weight, length }) => [
          expert,
          number(weight, percent(weight)),
          lengthCell(length),
        ]),
        ...[attention, before, residual].map(lengthCell),
        predictions[0].text,
        number(predictions[0].probability, formatProbability(predictions[0].probability)),
        next ? number(next.probability, formatProbability(next.probability)) : '',
        next ? next.rank + 1 : '',
      ],
    ),
  };
}

const number = (value: number, text: string): Cell => ({ value, text });
const lengthCell = (length: number): Cell => number(length, formatLength(length));
