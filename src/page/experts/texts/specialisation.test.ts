import { expect, it } from 'vitest';
import { randomFrom } from '../figure/statistics.ts';
import { repeatPoints, shareDots, shareTable, shuffleTexts } from './specialisation.ts';
import { comparisonOf, type TracedText } from './testing.ts';

/** A text whose tokens draw one of 4 experts with the given weights. */
function randomText(name: string, weights: number[], seed: number): TracedText {
  const random = randomFrom(seed);
  const tokens = Array.from({ length: 640 }, () => {
    const drawn = random();
    const ends = weights.map((_, expert) => weights.slice(0, expert + 1).reduce((sum, weight) => sum + weight));
    return {
      piece: 'x',
      experts: [
        [
          Math.max(
            0,
            ends.findIndex((end) => drawn < end),
          ),
        ],
      ],
    };
  });
  return { name, tokens };
}

const EVEN = [0.25, 0.25, 0.25, 0.25];

it('finds texts that use experts differently, and none in texts that do not', () => {
  const real = comparisonOf([randomText('a', [0.4, 0.2, 0.2, 0.2], 1), randomText('b', [0.2, 0.4, 0.2, 0.2], 2)], 4);
  expect(shuffleTexts(real, 0)!.asLarge).toBe(0);
  // Over many pairs without a difference, the rank of the real one is spread evenly over 0 .. 999.
  const ranks = Array.from({ length: 40 }, (_, i) => {
    const alike = comparisonOf([randomText('a', EVEN, 100 + 2 * i), randomText('b', EVEN, 101 + 2 * i)], 4);
    return shuffleTexts(alike, 0)!.asLarge;
  });
  expect(ranks.filter((rank) => rank < 500).length).toBeGreaterThan(9);
  expect(ranks.filter((rank) => rank < 500).length).toBeLessThan(31);
  expect(ranks.filter((rank) => rank < 10).length).toBeLessThan(4);
});

it('does not take an uneven use that all texts share for a difference between texts', () => {
  const same = [0.7, 0.1, 0.1, 0.1];
  const comparison = comparisonOf([randomText('a', same, 5), randomText('b', same, 6), randomText('c', same, 7)], 4);
  expect(shuffleTexts(comparison, 0)!.asLarge).toBeGreaterThan(10);
});

it('compares nothing if there is a single text, or one too short', () => {
  const text = randomText('a', EVEN, 1);
  expect(shuffleTexts(comparisonOf([text], 4), 0)).toBeUndefined();
  expect(shuffleTexts(comparisonOf([text, { ...text, tokens: text.tokens.slice(0, 40) }], 4), 0)).toBeUndefined();
});

it('marks shares that noise does not explain, and clips their intervals to 0 .. 100%', () => {
  const routing = [
    {
      use: [0.26, 0.2, 0.04, 0.5],
      sameFirst: 0.3,
      sameAny: 0.3,
      randomFirst: 0.28,
      randomAny: 0.28,
      errors: { blocks: 21, use: [0.01, 0.01, 0.03, 0.02], sameFirst: 0.1, sameAny: 0.1 },
    },
  ];
  const comparison = comparisonOf([{ ...randomText('a', EVEN, 1), routing }], 4);
  const dots = shareDots(comparison, 0);
  // t(20): 2.086 for 95%; 2.744 for one of four comparisons.
  expect(dots.map((dot) => dot.differs)).toEqual([false, true, true, true]);
  expect(dots[0].low).toBeCloseTo(0.26 - 0.02086, 5);
  expect(dots[2].low).toBe(0);
  expect(repeatPoints(comparison.texts[0], 'first')[0]).toMatchObject({ layer: 0, share: 0.3, random: 0.28 });
  expect(repeatPoints(comparison.texts[0], 'first')[0].high).toBeCloseTo(0.5086, 4);
  expect(shareTable(comparison).rows[3]).toEqual([
    0,
    3,
    'a',
    { value: 0.5, text: '50.0%' },
    { value: expect.closeTo(0.4583, 4), text: '45.8%' },
    { value: expect.closeTo(0.5417, 4), text: '54.2%' },
    'yes',
  ]);
});
