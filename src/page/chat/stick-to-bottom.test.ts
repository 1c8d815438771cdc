import { expect, it } from 'vitest';
import { follows, type ScrollPosition } from './stick-to-bottom.ts';

const at = (top: number, content = 1000): ScrollPosition => ({ top, content, view: 200 });

it('follows until the reader moves up, and again from the end', () => {
  expect(follows(true, at(800), at(700))).toBe(false);
  expect(follows(false, at(700), at(500))).toBe(false);
  expect(follows(false, at(500), at(600))).toBe(false);
  expect(follows(false, at(600), at(790))).toBe(true);
});

it('text that grows or shrinks does not count as the reader', () => {
  expect(follows(true, at(800), at(800, 1500))).toBe(true);
  expect(follows(true, at(800, 1000), at(400, 900))).toBe(true);
});
