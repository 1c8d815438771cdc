import { describe, expect, it, vi } from 'vitest';

vi.mock('./database.ts', () => import('./database-testing.ts'));
vi.stubGlobal('document', { documentElement: { style: {} } });

const { changedElsewhere, changeSettings, DEFAULT_SETTINGS, loadOptionsOf, loadSettings, settings, settingsFrom } =
  await import('./settings.ts');

it('a tab follows what another tab changes, and notes if only a load applies it', async () => {
  await loadSettings();
  vi.resetModules();
  const other = await import('./settings.ts');
  await other.loadSettings();
  other.changeSettings({ residentBias: 0.5 });
  await vi.waitFor(() => expect(settings.value.residentBias).toBe(0.5));
  expect(changedElsewhere.value).toBe(false);
  other.changeSettings({ context: 512 });
  await vi.waitFor(() => expect(settings.value.context).toBe(512));
  expect([changedElsewhere.value, other.changedElsewhere.value]).toEqual([true, false]);
  changeSettings(DEFAULT_SETTINGS);
});

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
    const settings = settingsFrom({ place: 'opfs', storageBackend: 'indexeddb' });
    expect(settings).toEqual({ ...DEFAULT_SETTINGS, storageBackend: 'indexeddb' });
  });

  it('chooses the store of new models automatically, also if an old version had stored its default', () => {
    expect([settingsFrom().storageBackend, settingsFrom({ place: 'indexeddb' }).storageBackend]).toEqual([
      'auto',
      'auto',
    ]);
  });
});

describe('loadOptionsOf', () => {
  const all = {
    ...DEFAULT_SETTINGS,
    context: 512,
    gpuBudgetMegabytes: 100,
    ramBudgetMegabytes: 20,
    cpuBudgetMegabytes: 300,
    threads: 2,
  };

  it('leaves out what is automatic', () => {
    expect(loadOptionsOf(DEFAULT_SETTINGS)).toEqual({});
  });

  it('passes on only what applies to the GPU or the CPU, if one of them is chosen', () => {
    expect(loadOptionsOf({ ...all, compute: 'gpu' })).toEqual({
      compute: 'gpu',
      context: 512,
      gpuBudgetBytes: 100e6,
      ramBudgetBytes: 20e6,
    });
    expect(loadOptionsOf({ ...all, compute: 'cpu' })).toEqual({
      compute: 'cpu',
      context: 512,
      threads: 2,
      cpuBudgetBytes: 300e6,
    });
  });

  it('passes on the limits of both if the engine chooses, each under its own name', () => {
    expect(loadOptionsOf(all)).toEqual({
      context: 512,
      threads: 2,
      gpuBudgetBytes: 100e6,
      ramBudgetBytes: 20e6,
      cpuBudgetBytes: 300e6,
    });
  });

  it('reads settings from before there was a choice as automatic', () => {
    const stored = settingsFrom({ context: 512, gpuBudgetMegabytes: 100, ramBudgetMegabytes: 20 });
    expect(loadOptionsOf(stored)).toEqual({ context: 512, gpuBudgetBytes: 100e6, ramBudgetBytes: 20e6 });
  });
});
