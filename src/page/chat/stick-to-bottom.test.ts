import { expect, it } from 'vitest';
import { type ScrollPosition, shouldFollow } from './stick-to-bottom.ts';

const at = (top: number, contentHeight = 1000): ScrollPosition => ({ top, contentHeight, viewHeight: 200 });

it('follows until the reader scrolls up, and again once the reader is back at the bottom', () => {
  expect(shouldFollow(true, at(800), at(700))).toBe(false);
  expect(shouldFollow(false, at(700), at(500))).toBe(false);
  expect(shouldFollow(false, at(500), at(600))).toBe(false);
  expect(shouldFollow(false, at(600), at(790))).toBe(true);
});

it('does not mistake growing or shrinking text for the reader', () => {
  expect(shouldFollow(true, at(800), at(800, 1500))).toBe(true);
  expect(shouldFollow(true, at(800, 1000), at(400, 900))).toBe(true);
});
