import { describe, expect, it } from 'vitest';
import { DEFAULT_SETTINGS, settingsFrom } from './settings.ts';

describe('settingsFrom', () => {
  it('gives the defaults if nothing is stored', () => {
    expect(settingsFrom(undefined)).toEqual(DEFAULT_SETTINGS);
  });

  it('completes stored settings', () => {
    const stored = { chatGeneration: { ...DEFAULT_SETTINGS.chatGeneration, temperature: 0.3 }, context: 512 };
    expect(settingsFrom(stored)).toEqual({ ...DEFAULT_SETTINGS, ...stored });
  });

  it('reads the names that settings had before version 0.2', () => {
    const old = { writing: { temperature: 0.3 }, textWriting: { maxTokens: 7 }, place: 'opfs' as const };
    expect(settingsFrom(old)).toEqual({
      ...DEFAULT_SETTINGS,
      chatGeneration: { ...DEFAULT_SETTINGS.chatGeneration, temperature: 0.3 },
      textGeneration: { ...DEFAULT_SETTINGS.textGeneration, maxTokens: 7 },
      storageBackend: 'opfs',
    });
  });

  it('prefers the new names', () => {
    expect(settingsFrom({ place: 'opfs', storageBackend: 'indexeddb' })).toEqual(DEFAULT_SETTINGS);
  });
});
