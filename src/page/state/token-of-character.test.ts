import { expect, it } from 'vitest';
import { tokenOfCharacter } from './token-of-character.ts';

const PIECES = ['', ' [INST]', ' Hi', ' [/INST]', ' O', 'nce', ' upon', '\n', '', 'é', '</s>', ' [INST]', ' Hi'];

it('finds the token of a character, whatever white space the template adds', () => {
  const answer = 'Once  upon é';
  const at = (offset: number): string | undefined => {
    const token = tokenOfCharacter(PIECES, { texts: [answer, 'Hi'], offset });
    return token === undefined ? undefined : PIECES[token];
  };
  expect([0, 1, 3, 4, 6, 9, 11].map(at)).toEqual([' O', 'nce', 'nce', ' upon', ' upon', ' upon', 'é']);
  expect(tokenOfCharacter(PIECES, { texts: ['Hi', answer, 'Hi'], offset: 1 })).toBe(2);
  expect(tokenOfCharacter(PIECES, { texts: ['Hi'], offset: 0 })).toBe(12);
});

it('finds nothing in another text, and none after the end', () => {
  expect(tokenOfCharacter(PIECES, { texts: ['Once upon a time'], offset: 0 })).toBeUndefined();
  expect(tokenOfCharacter(PIECES, { texts: ['é', 'Once'], offset: 0 })).toBeUndefined();
  expect(tokenOfCharacter(['a', 'b'], { texts: ['ab'], offset: 2 })).toBeUndefined();
  expect(tokenOfCharacter([], { texts: ['a'], offset: 0 })).toBeUndefined();
});
