import { expect, it } from 'vitest';
import { bannedText, parseBanned, parseReplaced } from './expert-lists.ts';

it('reads and writes banned experts, in one layer or in all', () => {
  const banned = [{ expert: 3 }, { layer: 1, expert: 12 }];
  expect(parseBanned('3,1.12')).toEqual(banned);
  expect(parseBanned(' 3 , 1.12 ')).toEqual(banned);
  expect(bannedText(banned)).toBe('3,1.12');
});

it('reads replacements of one expert or of all', () => {
  expect(parseReplaced('0=1,1=0')).toEqual([
    { expert: 0, by: 1 },
    { expert: 1, by: 0 },
  ]);
  expect(parseReplaced('*=3,2.*=4')).toEqual([{ by: 3 }, { layer: 2, by: 4 }]);
  expect(parseReplaced('2.5=4')).toEqual([{ layer: 2, expert: 5, by: 4 }]);
});

it.each(['', 'x', '1,', '-1', '1.5.2', '1e3', '1=2', '1 2', '*', '12345678'])('%j is no list of bans', (text) => {
  expect(parseBanned(text)).toBeUndefined();
});

it.each(['', '3', '3=', '=3', '3=*', '3=1=2', '*.3=1', '3=-1'])('%j is no list of replacements', (text) => {
  expect(parseReplaced(text)).toBeUndefined();
});
