/** The button that loads a model while there is none. The services are real, the two workers are stand-ins. */
import { beforeEach, expect, it, vi } from 'vitest';
import type { EngineApi, ProbeReport } from '../../contract/engine-api.ts';
import { MixtabError } from '../../contract/errors.ts';
import { FakeLocks } from '../../contract/fake-locks-testing.ts';
import type { ImportApi, ModelSummary } from '../../contract/import-api.ts';
import { LOADED_LOCK_PREFIX } from '../../contract/loaded-lock.ts';
import { stubPage } from './page-testing.ts';

vi.mock('../state/database.ts', () => import('../state/database-testing.ts'));
stubPage();
Object.assign(document, { baseURI: 'https://mixtab.test/' });

const { createServices } = await import('./create.ts');
const { lastLoaded, loadedElsewhere, loaded, models, modelsAreRead, probed, requestedId } = await import(
  '../state/models.ts'
);
const { loadOffer } = await import('../state/no-model.ts');
const { problem } = await import('../state/notices.ts');
const { changeSettings } = await import('../state/settings.ts');
const { dismissProblem } = await import('./problems.ts');

const stored = (id: string): ModelSummary =>
  ({ id, name: `Model ${id}`, state: 'complete', storedBytes: 1e6 }) as ModelSummary;
const NO_GPU = { code: 'webgpu-no-adapter', message: 'No GPU.', remedy: '' } as const;
const NOTHING: ProbeReport = { gpuError: NO_GPU, cpuError: { ...NO_GPU, code: 'wasm-unsupported' } };
const GPU: ProbeReport = { automatic: { kind: 'gpu', reason: 'gpu' } };

/** What was asked of the workers. */
let calls: string[] = [];
let inStore: ModelSummary[] = [];
let report: ProbeReport = GPU;
let listFails: MixtabError | undefined;
let importFails: MixtabError | undefined;
let loadFails: MixtabError | undefined;

const engine = {
  async probe() {
    calls.push('probe');
    return report;
  },
  async load({ modelId }: { modelId: string }) {
    calls.push(`load ${modelId}`);
    if (loadFails) throw loadFails;
    return { summary: stored(modelId), compute: { kind: 'gpu', reason: 'gpu' } };
  },
  stop: async () => {},
  unload: async () => {},
} as unknown as EngineApi;
const importer = {
  async list() {
    if (listFails) throw listFails;
    return inStore;
  },
  unfinished: async () => [],
  sessions: async () => [],
  async import({ kind }: { kind: string }) {
    calls.push(`import ${kind}`);
    if (importFails) throw importFails;
    inStore = [stored('story')];
    return inStore[0];
  },
} as unknown as ImportApi;

const newStore = () => createServices({ engine, importer, restartEngine() {} }).modelStore;

beforeEach(() => {
  calls = [];
  inStore = [stored('a'), stored('b')];
  report = GPU;
  listFails = importFails = loadFails = undefined;
  loaded.value = lastLoaded.value = probed.value = problem.value = requestedId.value = undefined;
  models.value = [];
  modelsAreRead.value = false;
  loadedElsewhere.value = [];
  changeSettings({ lastModelId: 'b' });
});

it('loads the model that was used last, whose list could not be read before', async () => {
  const store = newStore();
  listFails = new MixtabError('storage-unavailable', 'The database does not answer.');
  await store.loadAny();
  expect([calls, problem.value?.code]).toEqual([['probe'], 'storage-unavailable']);
  expect(loadOffer.value).toBeUndefined(); // the error has a button for the page
  problem.value = undefined;
  expect(loadOffer.value).toBe('Try again');
  listFails = undefined;
  const again = store.loadAny();
  expect(loadOffer.value).toBeUndefined();
  await again;
  expect([calls.at(-1), loaded.value?.summary.id, problem.value]).toEqual(['load b', 'b', undefined]);
});

it('loads the model whose loading failed, after that error was dismissed', async () => {
  const store = newStore();
  await store.refresh();
  loadFails = Object.assign(new MixtabError('gpu-out-of-memory', 'No memory.'), { modelLost: true });
  await store.loadAny();
  expect([problem.value?.code, loadOffer.value]).toEqual(['gpu-out-of-memory', undefined]);
  dismissProblem();
  expect(loadOffer.value).toBe('Load Model b');
  loadFails = undefined;
  await store.loadAny();
  expect([loaded.value?.summary.id, loadOffer.value]).toEqual(['b', undefined]);
});

it('imports the built-in model, also after that has failed once', async () => {
  const store = newStore();
  inStore = [];
  importFails = new MixtabError('source-unreachable', 'The server does not answer.');
  await store.importBuiltin();
  expect([problem.value?.code, loadOffer.value]).toEqual(['source-unreachable', 'Load the built-in model']);
  importFails = undefined;
  await store.loadAny();
  expect(calls.filter((call) => call !== 'probe')).toEqual(['import builtin', 'import builtin', 'load story']);
  expect([loaded.value?.summary.id, problem.value]).toEqual(['story', undefined]);
});

it('looks again for what can compute, and imports or loads nothing before there is something', async () => {
  const store = newStore();
  inStore = [];
  report = NOTHING;
  await store.loadAny();
  await store.loadAny();
  expect(calls).toEqual(['probe', 'probe']);
  report = GPU;
  await store.loadAny();
  expect(loaded.value?.summary.id).toBe('story');
});

it('asks before it loads a large model beside that of another tab', async () => {
  inStore = [{ ...stored('b'), storedBytes: 26e9 }];
  const locks = new FakeLocks();
  vi.stubGlobal('navigator', { locks });
  void locks.request(`${LOADED_LOCK_PREFIX}b/other`, () => new Promise(() => {}));
  await newStore().loadAny();
  expect(problem.value?.code).toBe('loaded-elsewhere');
  expect(calls).not.toContain('load b');
});
