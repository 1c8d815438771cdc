/** While no model is loaded, there is a button that is a way on, whatever went wrong before. */
import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { LoadedModel } from '../../contract/engine-api.ts';
import { type ErrorCode, errorFromData } from '../../contract/errors.ts';
import type { ModelSummary } from '../../contract/import-api.ts';

vi.mock('./database.ts', () => import('./database-testing.ts'));
vi.stubGlobal('document', { documentElement: { style: {} } });

const { report, dismissProblem } = await import('../services/problems.ts');
const { runningImport, unfinished } = await import('./imports.ts');
const { measuring } = await import('./measurement.ts');
const models = await import('./models.ts');
const { loadOffer, problemRemedies } = await import('./no-model.ts');
const { problem } = await import('./notices.ts');
const { changeSettings, DEFAULT_SETTINGS } = await import('./settings.ts');

/** All codes, as the contract lists them. */
const CODES = [
  ...readFileSync(new URL('../../contract/errors.ts', import.meta.url), 'utf8').matchAll(/^ {2}\| '([\w-]+)'/gm),
].map(([, code]) => code as ErrorCode);

const stored = (id: string, state: ModelSummary['state'] = 'complete') =>
  ({ id, name: `Model ${id}`, state }) as ModelSummary;
const loadedModel = (id: string) =>
  ({ summary: stored(id), compute: { kind: 'gpu' }, memory: { gpuBytes: 4e9, ramBytes: 0 } }) as LoadedModel;
const fail = (code: ErrorCode, modelLost?: boolean): void =>
  report(errorFromData({ code, message: code, remedy: '', ...(modelLost !== undefined && { modelLost }) }));
/** The labels of all buttons, except Dismiss. */
const buttons = (): string[] => [
  ...problemRemedies.value.map(({ label }) => label),
  ...(loadOffer.value === undefined ? [] : [loadOffer.value]),
];

beforeEach(() => {
  models.loaded.value = models.lastLoaded.value = models.loading.value = models.probed.value = undefined;
  models.requestedId.value = problem.value = runningImport.value = undefined;
  models.models.value = [stored('a'), stored('b')];
  models.modelsAreRead.value = true;
  unfinished.value = [];
  measuring.value = false;
  changeSettings({ ...DEFAULT_SETTINGS, lastModelId: 'b' });
});

it('knows all codes', () => expect(CODES.length).toBeGreaterThan(40));

describe.each(CODES)('after %s', (code) => {
  it('there is a button, also after Dismiss and after a later error', () => {
    models.requestedId.value = 'a';
    for (const modelLost of [true, false, undefined]) {
      fail(code, modelLost);
      expect(buttons().length).toBeGreaterThan(0);
      fail('gguf-not-gguf', false); // about a file: it has no buttons of its own
      expect(buttons()).toEqual(['Load Model a']);
      dismissProblem();
      expect(buttons()).toEqual(['Load Model a']);
    }
  });

  it('there is a button if no model is stored, or the list of models could not be read', () => {
    models.models.value = [];
    for (const [isRead, label] of [
      [true, 'Load the built-in model'],
      [false, 'Try again'],
    ] as const) {
      models.modelsAreRead.value = isRead;
      fail(code);
      expect(buttons().length).toBeGreaterThan(0);
      dismissProblem();
      expect(buttons()).toEqual([label]);
    }
  });

  it('the page does not offer to load a model while one is loaded', () => {
    models.loaded.value = loadedModel('a');
    fail(code, false);
    expect(loadOffer.value).toBeUndefined();
  });
});

it('names the model that was requested last, else the one used last, else any that can be loaded', () => {
  expect(loadOffer.value).toBe('Load Model b');
  models.requestedId.value = 'a';
  expect(loadOffer.value).toBe('Load Model a');
  models.models.value = [stored('a', 'damaged'), stored('c')];
  expect(loadOffer.value).toBe('Load Model c');
});

it('is not beside an error that has a button, unless that would load a model that is gone', () => {
  models.requestedId.value = 'a';
  fail('out-of-memory', true);
  expect(buttons()).toEqual(['Reload model']);
  models.models.value = [stored('b')];
  expect(buttons()).toEqual(['Load Model b']);
  models.models.value = [stored('a'), stored('b')];
  fail('model-not-found', true);
  expect(buttons()).toEqual(['Load Model a']);
});

it('an error offers to load a model again that is still being imported', () => {
  models.requestedId.value = 'early';
  unfinished.value = [{ id: 'early', usable: true }] as typeof unfinished.value;
  fail('webgpu-device-lost', true);
  expect(buttons()).toEqual(['Reload model']);
});

it('is not shown while a model is loaded, loading, or on its way, nor while the GPU is measured', async () => {
  const shown = (): boolean => loadOffer.value !== undefined;
  expect(shown()).toBe(true);
  models.loading.value = { name: 'A', progress: undefined };
  expect(shown()).toBe(false);
  models.loading.value = undefined;
  measuring.value = true;
  expect(shown()).toBe(false);
  measuring.value = false;
  await models.towardsModel(async () => expect(shown()).toBe(false));
  expect(shown()).toBe(true);
  await expect(models.towardsModel(() => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
  expect(shown()).toBe(true);
  models.loaded.value = loadedModel('a');
  expect(shown()).toBe(false);
});

it('during an import, offers a stored model, but no second import', () => {
  runningImport.value = { kind: 'import', name: 'Mixtral' } as NonNullable<typeof runningImport.value>;
  expect(loadOffer.value).toBe('Load Model b');
  models.models.value = [];
  expect(loadOffer.value).toBeUndefined();
});

it('leaves it to the notice that nothing can compute', () => {
  models.probed.value = { gpuError: { code: 'webgpu-no-adapter', message: 'No GPU.', remedy: '' } };
  expect(loadOffer.value).toBeUndefined();
});
