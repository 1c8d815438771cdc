import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { froze, noteDrawing, noteDrawn, noteStep } from './unfinished-drawing.ts';

beforeEach(() => {
  vi.useFakeTimers();
  const items = new Map<string, string>();
  vi.stubGlobal('localStorage', {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value),
    removeItem: (key: string) => void items.delete(key),
  });
});

afterEach(() => {
  noteDrawing(undefined);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Lets time pass in which nothing of the page runs. */
const freeze = (ms: number): void => void vi.setSystemTime(Date.now() + ms);

it('finds a conversation that froze the page in a later step, and none that is still being drawn', () => {
  noteDrawing('long');
  noteStep();
  vi.advanceTimersByTime(4000); // longer than the page has to be responsive if nothing waits
  noteStep();
  freeze(4000);
  expect(froze('long')).toBe(false); // as another tab sees it
  freeze(2000);
  expect(froze('long')).toBe(true);
  noteDrawn();
  expect(froze('long')).toBe(false);
});

it('keeps the note for a while after a conversation was drawn, and clears it then', () => {
  noteDrawing('short');
  noteStep();
  noteDrawn();
  freeze(6000); // layout and painting may also freeze the page
  expect(froze('short')).toBe(true);
  vi.advanceTimersByTime(2000);
  expect(froze('short')).toBe(false);
  noteDrawing('left');
  noteDrawing(undefined);
  freeze(6000);
  expect(froze('left')).toBe(false);
});

it('is not cleared by the end of drawing the conversation before', () => {
  noteDrawing('before');
  noteStep();
  vi.advanceTimersByTime(3000);
  noteDrawing('next');
  noteDrawn();
  freeze(6000);
  expect(froze('next')).toBe(true);
});
