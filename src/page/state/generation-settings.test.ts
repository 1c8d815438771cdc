import { expect, it } from 'vitest';
import { DEFAULT_WRITING, defaultWriting, PRESETS, presetOf, samplingOf, writingFrom } from './generation-settings.ts';

it('the defaults are a preset, and a changed value is none', () => {
  expect(presetOf(DEFAULT_WRITING)?.name).toBe('Balanced');
  expect(presetOf(defaultWriting('chat'))?.name).toBe('Balanced');
  expect(presetOf(defaultWriting('text'))?.name).toBe('Story');
  expect(presetOf({ ...DEFAULT_WRITING, topK: 41 })).toBeUndefined();
  for (const preset of PRESETS) expect(presetOf({ ...DEFAULT_WRITING, ...preset.sampling })).toBe(preset);
});

it('a seed is sent only where one is set', () => {
  expect('seed' in samplingOf(DEFAULT_WRITING)).toBe(false);
  expect(samplingOf({ ...DEFAULT_WRITING, seed: 0 }).seed).toBe(0);
});

it('damaged settings fall back to the defaults, key by key', () => {
  expect(writingFrom(null)).toEqual(DEFAULT_WRITING);
  expect(writingFrom({ temperature: '1', topK: Number.NaN, topP: 0.5, systemPrompt: 7, seed: 3, extra: 1 })).toEqual({
    ...DEFAULT_WRITING,
    topP: 0.5,
    seed: 3,
  });
});
