import { expect, it } from 'vitest';
import { favouriteTable, favouriteTokens } from './favourites.ts';
import { comparisonOf } from './testing.ts';

const tokens = (piece: string, experts: number[], times: number) =>
  Array.from({ length: times }, () => ({ piece, experts: [[0, 1], experts] }));

it('names the tokens that select an expert more often than tokens in general, recounted by hand', () => {
  const comparison = comparisonOf(
    [
      { name: 'a', tokens: [...tokens(' the', [2, 3], 9), ...tokens(' the', [0, 1], 1), ...tokens('x', [0, 1], 10)] },
      { name: 'b', tokens: [...tokens('x', [1, 0], 10), ...tokens('rare', [2, 3], 4), ...tokens('', [2, 3], 6)] },
    ],
    4,
  );
  const [zero, , two] = favouriteTokens(comparison, 1);
  // 40 tokens: expert 0 has 21, expert 2 has 9 + 4 + 6.
  expect(zero).toEqual({ expert: 0, base: 21 / 40, favourites: [{ token: 'x', count: 20, hits: 20 }] });
  expect(two).toEqual({ expert: 2, base: 19 / 40, favourites: [{ token: ' the', count: 10, hits: 9 }] });
  expect(favouriteTable([two]).rows).toEqual([[2, ' the', 10, 9, { value: 0.475, text: '47.5%' }]]);
  // In layer 0 every token selects the same experts, so none is special.
  expect(favouriteTokens(comparison, 0).map(({ favourites }) => favourites.length)).toEqual([0, 0, 0, 0]);
});
