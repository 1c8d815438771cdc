import { expect, it } from 'vitest';
import type { CurvePoint } from '../../state/paper.ts';
import { changeBetween } from '../figure/paired-change.ts';
import { contextLengths, curveSentence, curveTable, interval } from './curve.ts';

const point = (context: number, nlls: number[]): CurvePoint => {
  const nll = nlls.reduce((sum, value) => sum + value, 0) / nlls.length;
  const variance = nlls.reduce((sum, value) => sum + (value - nll) ** 2, 0) / (nlls.length - 1);
  return {
    context,
    tokens: 100 * nlls.length,
    nll,
    nllError: Math.sqrt(variance / nlls.length),
    perplexity: Math.exp(nll),
    blocks: nlls.map((value) => ({ tokens: 100, nll: value })),
  };
};

it('doubles the length until the whole text fits, or the context is used', () => {
  expect(contextLengths(1000, 4096)).toEqual([16, 32, 64, 128, 256, 512, 1024]);
  expect(contextLengths(1024, 4096).at(-1)).toBe(2048); // 1024 would leave no room for BOS
  expect(contextLengths(100_000, 300)).toEqual([16, 32, 64, 128, 256]);
  expect(contextLengths(5, 4096)).toEqual([16]);
  expect(contextLengths(50, 8)).toEqual([8]);
});

it('gives the interval of a point from the spread of its blocks', () => {
  // Mean 2, standard error 0.5, t(3) = 3.182.
  const [low, high] = interval(point(16, [1, 1.5, 2.5, 3]))!;
  const half = (Math.log(high) - Math.log(low)) / 2;
  expect(half / 3.182).toBeCloseTo(Math.sqrt((1 + 0.25 + 0.25 + 1) / 3 / 4), 3);
  expect(Math.sqrt(low * high)).toBeCloseTo(Math.exp(2), 9);
});

it('knows a difference between lengths better than the values, because the text is the same', () => {
  const short = point(16, [1, 2, 3, 4]);
  const long = point(32, [0.8, 1.81, 2.79, 3.8]);
  const { change, low, high } = changeBetween(short, long);
  expect(change).toBeCloseTo(Math.exp(-0.2) - 1, 9);
  expect(high!).toBeLessThan(0);
  expect(low!).toBeGreaterThan(-0.2);
  expect(interval(short)![0]).toBeLessThan(long.perplexity);
  expect(curveSentence([short, long])).toMatch(
    /from 12\.18 to 9\.97: −18\.1% \(95% interval: −19\.\d% to −17\.\d%\)\.$/,
  );
  expect(curveSentence([short, point(32, [2, 1, 4, 3])])).toMatch(/Noise could explain that\.$/);
});

it('says nothing about noise if the text is a single block', () => {
  const { nllError: _, ...single } = point(16, [1, 2]);
  const short = { ...single, blocks: [{ tokens: 10, nll: 1.5 }] };
  expect(interval(short)).toBeUndefined();
  expect(changeBetween(short, short)).toEqual({ change: 0 });
  expect(curveTable([short]).rows[0].slice(2, 4)).toEqual(['', '']);
});
