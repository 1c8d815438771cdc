/** Turns the observation of a token into what the figure and its table show. Pure functions. */
import type { Observation, ObservedLayer } from '../../../contract/engine-api.ts';
import { percent, visible } from '../routing.ts';

/** One layer of the figure. */
export interface LayerRow {
  layer: number;
  /** The softmax of all router scores, by expert: how much the router prefers each one. */
  preferences: number[];
  /** The experts that the router chooses, best first. */
  experts: { expert: number; weight: number; score: number; length: number }[];
  /** Lengths of what attention adds, and of the residual after the layer. */
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
    preferences: softmax(layer.routerLogits),
    experts: layer.selectedExperts.map((expert, rank) => ({
      expert,
      weight: layer.weights[rank],
      score: layer.routerLogits[expert],
      length: layer.experts[rank],
    })),
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

/** @returns the rows as comma-separated values, a line per layer */
export function layersCsv(rows: readonly LayerRow[]): string {
  const experts = rows[0].preferences.length;
  const used = rows[0].experts.length;
  const numbered = (count: number, name: string): string[] => Array.from({ length: count }, (_, i) => `${name}_${i}`);
  const header = [
    'layer',
    ...numbered(experts, 'router_softmax'),
    ...numbered(used, 'expert'),
    ...numbered(used, 'weight'),
    ...numbered(used, 'expert_length'),
    'attention_length',
    'residual_length',
    'prediction',
    'prediction_probability',
    'next_probability',
    'next_rank',
  ];
  const lines = rows.map(({ layer, preferences, experts, attention, residual, predictions: [first], next }) => [
    layer,
    ...preferences,
    ...experts.map(({ expert }) => expert),
    ...experts.map(({ weight }) => weight),
    ...experts.map(({ length }) => length),
    attention,
    residual,
    `"${first.text.replaceAll('"', '""')}"`,
    first.probability,
    next?.probability ?? '',
    next ? next.rank + 1 : '',
  ]);
  return [header, ...lines].map((line) => line.join(',')).join('\n');
}
