import { expect, it } from 'vitest';
import {
  DEFAULT_GENERATION,
  defaultGeneration,
  generationFrom,
  PRESETS,
  presetOf,
  samplingOf,
} from './generation-settings.ts';

it('finds the preset of the defaults, and none for changed settings', () => {
  expect(presetOf(DEFAULT_GENERATION)?.name).toBe('Balanced');
  expect(presetOf(defaultGeneration('chat'))?.name).toBe('Balanced');
  expect(presetOf(defaultGeneration('text'))?.name).toBe('Story');
  expect(presetOf({ ...DEFAULT_GENERATION, topK: 41 })).toBeUndefined();
  for (const preset of PRESETS) expect(presetOf({ ...DEFAULT_GENERATION, ...preset.sampling })).toBe(preset);
});

it('sends a seed only if one is set', () => {
  expect('seed' in samplingOf(DEFAULT_GENERATION)).toBe(false);
  expect(samplingOf({ ...DEFAULT_GENERATION, seed: 0 }).seed).toBe(0);
});

it('replaces each invalid value by its default', () => {
  expect(generationFrom(null)).toEqual(DEFAULT_GENERATION);
  expect(generationFrom({ temperature: '1', topK: Number.NaN, topP: 0.5, systemPrompt: 7, seed: 3, extra: 1 })).toEqual(
    {
      ...DEFAULT_GENERATION,
      topP: 0.5,
      seed: 3,
    },
  );
});
