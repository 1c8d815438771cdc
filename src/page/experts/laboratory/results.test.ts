import { expect, it } from 'vitest';
import type { LabScore } from '../../state/laboratory.ts';
import { ORIGINAL, withRow } from '../../state/laboratory.ts';
import { barWords, changeText, labBars, labSentence, labTable } from './results.ts';

const score = (key: string, nlls: number[], experiment?: 'first' | 'random'): LabScore => {
  const nll = nlls.reduce((sum, value) => sum + value, 0) / nlls.length;
  return {
    model: key === '' ? ORIGINAL : { key, name: key, ...(experiment && { experiment }) },
    tokens: 40 * nlls.length,
    nll,
    perplexity: Math.exp(nll),
    blocks: nlls.map((value) => ({ tokens: 40, nll: value })),
  };
};
const EXACT = score('', [1, 2, 3, 4]);
const WORSE = score('Worse', [1.9, 3.1, 3.9, 5.1], 'random');
const SAME = score('Same', [1.2, 1.8, 3.2, 3.8], 'first');

it('compares each model with the original one, block by block', () => {
  const [original, worse] = labBars([EXACT, WORSE]);
  expect(original.change).toBeUndefined();
  expect(changeText(original)).toBe('');
  // The differences are 0.9, 1.1, 0.9 and 1.1: mean 1, standard error 0.1155 / 2, and t(3) = 3.182.
  const half = (3.182 * Math.sqrt((4 * 0.1 ** 2) / 3)) / 2;
  expect(worse.change!.change).toBeCloseTo(Math.E - 1, 9);
  expect(worse.change!.low).toBeCloseTo(Math.exp(1 - half) - 1, 3);
  expect(worse.change!.high).toBeCloseTo(Math.exp(1 + half) - 1, 3);
  expect(changeText(worse)).toBe('2.7 times');
  expect(barWords(worse)).toBe(
    'Worse: perplexity 33.12, 2.72 times that of the original model (95% interval: 2.26 to 3.27 times).',
  );
});

it('says if noise could explain a difference, or if the text is too short to say', () => {
  const [, same] = labBars([EXACT, SAME]);
  expect(barWords(same)).toMatch(/Noise could explain the difference\.$/);
  const short = labBars([score('', [1]), score('Short', [1.1])])[1];
  expect(short.change).toEqual({ change: Math.exp(1.1 - 1) - 1 });
  expect(barWords(short)).toBe(
    'Short: perplexity 3.00, 1.11 times that of the original model. Noise could explain the difference.',
  );
});

it('names the change that matters most and the one that matters least', () => {
  expect(labSentence(labBars([EXACT, WORSE]))).toBe('');
  expect(labSentence(labBars([EXACT, SAME, WORSE]))).toMatch(
    /^Perplexity is highest with “Worse” \(2\.7 times\) and lowest with “Same” \([+−]0\.0%, which noise could explain\)\.$/,
  );
});

it('has no figure before the original model is known', () => {
  expect(labBars([WORSE])).toEqual([]);
});

it('lists every number, with those of the original model first', () => {
  const results = [WORSE, SAME, EXACT].reduce(withRow<LabScore>, { key: '', loaded: '', of: '', rows: [] });
  const { columns, rows } = labTable(labBars(results.rows));
  expect(rows.map(([name]) => name)).toEqual(['Original model', 'Same', 'Worse']);
  expect(rows[0].slice(3, 5)).toEqual(['', '']);
  expect(columns).toHaveLength(rows[2].length);
  expect(rows[2].slice(5)).toEqual([{ value: WORSE.nll, text: '3.5000' }, 160]);
  // A second run of a model takes the place of the first one.
  expect(withRow(results, score('Worse', [1, 1], 'random')).rows.at(-1)!.nll).toBe(1);
});
