import { expect, it } from 'vitest';
import { chanceOfCommon, chanceOfSame, spoken, tokensAt, tokensTable, visible } from './routing.ts';

it('gives the chances in the paper for 2 of 8 experts: 12.5% and 46.4%', () => {
  expect(chanceOfSame(8)).toBe(0.125);
  expect(chanceOfCommon(8, 2)).toBeCloseTo(0.464, 3);
});

it.each([
  [8, 2],
  [16, 2],
  [4, 3],
  [5, 1],
  [6, 3],
  [2, 2],
])('for %d experts, %d per token, agrees with counting all pairs of selections', (count, used) => {
  const sets = Array.from({ length: 2 ** count }, (_, bits) => bits).filter(
    (bits) => bits.toString(2).replaceAll('0', '').length === used,
  );
  const common = sets.flatMap((a) => sets.map((b) => (a & b) !== 0)).filter(Boolean).length;
  expect(chanceOfCommon(count, used)).toBeCloseTo(common / sets.length ** 2, 12);
});

it('finds the experts that each token selected in a layer', () => {
  // 2 tokens, 3 layers, 2 experts per token
  const selectedExperts = Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
  const trace = { pieces: ['', ' a'], selectedExperts };
  expect(tokensAt(trace, 1, 3)).toEqual([
    { text: '', experts: [2, 3] },
    { text: ' a', experts: [8, 9] },
  ]);
});

it('lists the experts of each token in all layers', () => {
  const trace = { pieces: ['', ' a'], selectedExperts: Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7) };
  expect(tokensTable(trace, 2)).toEqual({
    columns: ['Token', 'Text', 'Layer 0, choice 1', 'Layer 0, choice 2', 'Layer 1, choice 1', 'Layer 1, choice 2'],
    rows: [
      [0, '', 0, 1, 2, 3],
      [1, ' a', 4, 5, 6, 7],
    ],
  });
});

it('shows and names invisible characters', () => {
  expect([visible(''), visible('a\n'), visible(' b'), visible('  ')]).toEqual(['·', 'a↵\n', '\u200b\u00a0b', '  ']);
  expect(spoken({ text: ' the', experts: [3, 5] })).toBe('“the”: expert 3, then 5');
  expect(spoken({ text: '\n', experts: [1] })).toBe('new line: expert 1');
  expect(spoken({ text: '  ', experts: [1, 2, 3] })).toBe('whitespace: expert 1, then 2, 3');
  expect(spoken({ text: '', experts: [0, 1] })).toBe('no visible text: expert 0, then 1');
});
