/** Which model a page loads by itself when it is opened. */
import { beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import type { ModelSummary } from '../../contract/import-api.ts';
import { browser } from '../state/database-testing.ts';
import { FakeStorage } from '../state/web-storage-testing.ts';

vi.mock('../state/database.ts', () => import('../state/database-testing.ts'));
vi.mock('idb-keyval', () => ({ get: async () => undefined }));
vi.stubGlobal(
  'document',
  Object.assign(new EventTarget(), { visibilityState: 'visible', documentElement: { style: {} } }),
);
vi.stubGlobal('location', { hash: '' });
vi.stubGlobal('addEventListener', () => {});
vi.stubGlobal('isSecureContext', true);
/** Names of the locks that living tabs hold. */
const held = new Set<string>();
vi.stubGlobal('navigator', {
  locks: { request: async () => {}, query: async () => ({ held: [...held].map((name) => ({ name })) }) },
});
const local = new FakeStorage();
const stored = local.values;
vi.stubGlobal('localStorage', local);

/** What the page did, in order. */
const done: string[] = [];
/** What is in the store. */
let inStore: ModelSummary[] = [];
let sessionsStarted = 0;
const report = vi.hoisted(() => vi.fn());
vi.mock('../services/problems.ts', () => ({ report }));
vi.mock('../services/services.ts', () => ({
  services: {
    sessions: { start: () => sessionsStarted++ },
    storageKeeper: { start() {} },
    tabs: { start() {} },
    modelStore: {
      refresh: async () => {
        models.value = inStore;
      },
      importBuiltin: async () => void done.push('import'),
      cancelImport: async () => void done.push('cancel'),
      prefetchBuiltin() {},
      endPrefetch() {},
    },
    modelLoader: {
      probe: async () => {},
      loadCarefully: async ({ id }: ModelSummary) => void done.push(`load ${id}`),
      holdBack: ({ id }: ModelSummary, mark: LoadMark) => void done.push(`hold back ${id} ${mark.megabytes}`),
    },
  },
}));

const { models, modelsAreRead } = await import('../state/models.ts');
const { loadOffer } = await import('../state/no-model.ts');
const { changeSettings } = await import('../state/settings.ts');
const { start } = await import('./start.ts');
type LoadMark = import('../state/load-mark.ts').LoadMark;

const model = (id: string, state: ModelSummary['state'] = 'complete'): ModelSummary =>
  ({ id, name: id, state }) as ModelSummary;

/** The note of another tab, which was loading a model. */
const leaveNote = (modelId: string): void =>
  void stored.set('mixtab-loading/other', JSON.stringify({ modelId, name: modelId, megabytes: 7 } satisfies LoadMark));

beforeEach(() => {
  done.length = 0;
  stored.clear();
  held.clear();
  report.mockClear();
  sessionsStarted = 0;
  inStore = [model('a'), model('b')];
  changeSettings({ lastModelId: 'b' });
});

it('loads the model that was used last', async () => {
  await start();
  expect(done).toEqual(['load b']);
});

it('loads another one if that is gone or damaged', async () => {
  inStore = [model('b', 'damaged'), model('a')];
  await start();
  expect(done).toEqual(['load a']);
});

it('imports the built-in model if there is none', async () => {
  inStore = [model('c', 'importing')];
  await start();
  expect(done).toEqual(['import']);
});

it('loads no model whose tab has ended before its first answer', async () => {
  leaveNote('b');
  await start();
  expect(done).toEqual(['hold back b 7']);
});

it('loads it although another tab is loading it, and lives', async () => {
  leaveNote('b');
  held.add('mixtab-loading/other');
  await start();
  expect(done).toEqual(['load b']);
});

it('loads it if the note is about another model', async () => {
  leaveNote('a');
  await start();
  expect(done).toEqual(['load b']);
});

it('does not wait for ever for a database that does not answer', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  let answer = (): void => {};
  browser.queue = new Promise<void>((resolve) => (answer = resolve));
  const started = start();
  await vi.advanceTimersByTimeAsync(11_900);
  expect(done).toEqual([]);
  await vi.advanceTimersByTimeAsync(200);
  await started;
  expect([done, sessionsStarted]).toEqual([['load b'], 0]); // sessions would be deleted for want of conversations
  answer();
  await vi.waitFor(() => expect(sessionsStarted).toBe(1));
});

it('says that the browser blocks storage', async () => {
  const { services } = await import('../services/services.ts');
  vi.spyOn(services.modelStore, 'refresh').mockRejectedValueOnce(new DOMException('denied', 'SecurityError'));
  await start();
  expect(done).toEqual([]);
  expect(report).toHaveBeenCalledWith(expect.objectContaining({ code: 'storage-unavailable' }));
});

it('offers to load a model once the start has ended without one, and not before', async () => {
  modelsAreRead.value = true;
  const started = start();
  const offers: (string | undefined)[] = [];
  const end = loadOffer.subscribe((offer) => void offers.push(offer));
  await started;
  end();
  expect(done).toEqual(['load b']); // which loads nothing here
  expect(offers).toEqual([undefined, 'Load b']);
});
