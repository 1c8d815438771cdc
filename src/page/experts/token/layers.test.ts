import { describe, expect, it } from 'vitest';
import type { Observation, ObservedLayer } from '../../../contract/engine-api.ts';
import { tokenId } from '../../../contract/ids.ts';
import { toCsv } from '../figure/csv.ts';
import {
  formatProbability,
  layerRows,
  layerSentences,
  layersTable,
  longest,
  quoted,
  settledAt,
  softmax,
} from './layers.ts';

const layer = (prediction: string, more: Partial<ObservedLayer> = {}): ObservedLayer => ({
  routerLogits: [0, Math.log(3), 0, Math.log(6)],
  selectedExperts: [3, 1],
  weights: [2 / 3, 1 / 3],
  before: 1,
  attention: 0.5,
  experts: [2, 0.25],
  residual: 3,
  top: [{ id: tokenId(5), logprob: Math.log(0.5), text: prediction }],
  next: { logprob: Math.log(0.25), rank: 1 },
  ...more,
});

const observation = (...layers: ObservedLayer[]): Observation => ({
  position: 2,
  piece: ' a',
  nextPiece: ' b',
  layers,
});

describe('layerRows', () => {
  it('gives every expert its share of the softmax, and the chosen ones their score, weight and length', () => {
    const [row] = layerRows(observation(layer(' c')));
    expect(row.preferences.map((p) => Math.round(p * 11))).toEqual([1, 3, 1, 6]);
    expect(row.experts).toEqual([
      { expert: 3, weight: 2 / 3, score: Math.log(6), length: 2 },
      { expert: 1, weight: 1 / 3, score: Math.log(3), length: 0.25 },
    ]);
    expect(row.predictions[0].probability).toBeCloseTo(0.5);
    expect(row.next!.probability).toBeCloseTo(0.25);
    expect(longest([row])).toBe(3);
  });

  it('has no next token for the last one of a text', () => {
    const { next: _, ...last } = layer(' c');
    expect(layerRows(observation(last))[0].next).toBeUndefined();
  });
});

it('softmax does not overflow', () => {
  expect(softmax([1000, 1000])).toEqual([0.5, 0.5]);
});

it('says from which layer on the first prediction stays the same', () => {
  const rows = (...predictions: string[]) =>
    layerRows(observation(...predictions.map((prediction) => layer(prediction))));
  expect(settledAt(rows('a', 'b', 'a', 'a'))).toBe(2);
  expect(settledAt(rows('a', 'a'))).toBe(0);
  expect(settledAt(rows('a', 'b'))).toBe(1);
});

it('describes a layer in words', () => {
  expect(layerSentences(layerRows(observation(layer(' c')))[0])).toEqual([
    'In layer 0, the router chooses expert 3 with weight 67% and expert 1 with weight 33%.',
    'Attention adds a vector of length 0.500, expert 3 one of 2.00, expert 1 one of 0.250; the residual has length 3.00 afterwards.',
    'If the model ended here, it would predict “\u00a0c” (50.0%). The token that really follows has 25.0%, place 2.',
  ]);
});

it('shows invisible texts and tiny probabilities', () => {
  expect(quoted('\n')).toBe('“↵”');
  expect(quoted('')).toBe('“·”');
  expect(formatProbability(0.0002)).toBe('<0.1%');
  expect(formatProbability(0)).toBe('0.0%');
});

it('has all numbers of a layer in the table, and all their digits in CSV', () => {
  const table = layersTable(layerRows(observation(layer('say "x",'), layer('y'))));
  expect(new Set(table.columns).size).toBe(1 + 2 * 4 + 3 * 2 + 3 + 4);
  const row = Object.fromEntries(table.columns.map((column, c) => [column, table.rows[0][c]]));
  const value = (column: string): unknown => (row[column] as { value: number }).value;
  expect(row.Layer).toBe(0);
  expect(value('Score of expert 3')).toBe(Math.log(6));
  expect(value('Preference for expert 3')).toBeCloseTo(6 / 11, 12);
  expect([row['Choice 1'], row['Choice 2']]).toEqual([3, 1]);
  expect([value('Weight of choice 2'), value('Choice 2 adds')]).toEqual([1 / 3, 0.25]);
  expect([value('Attention adds'), value('Residual before'), value('Residual after')]).toEqual([0.5, 1, 3]);
  expect(value('Its probability')).toBeCloseTo(0.5, 12);
  expect([value('Probability of the next token'), row['Its place']]).toEqual([0.25, 2]);
  const [, line, ...more] = toCsv(table).trim().split('\r\n');
  expect(more).toHaveLength(1);
  expect(line).toContain(`,${1 / 3},0.25,0.5,1,3,"say ""x"",",0.5,0.25,2`);
});
