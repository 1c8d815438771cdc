/** Several tabs that want to load a large model: each has modules, and so a state, of its own. */
import { beforeEach, expect, it, vi } from 'vitest';
import type { LoadedModel } from '../../contract/engine-api.ts';
import { FakeLocks } from '../../contract/fake-locks-testing.ts';
import { LOADED_LOCK_PREFIX } from '../../contract/loaded-lock.ts';

vi.mock('../state/database.ts', () => import('../state/database-testing.ts'));
vi.stubGlobal('document', { documentElement: { style: {} } });
vi.stubGlobal('location', { hash: '' });
vi.stubGlobal('addEventListener', () => {});
vi.stubGlobal(
  'BroadcastChannel',
  class {
    postMessage(): void {}
  },
);

const FIRST = `${LOADED_LOCK_PREFIX}large/first`;
const LARGE = { id: 'large', name: 'Mixtral', storedBytes: 26.4e9 };
let locks: FakeLocks;
/** Resolves when a tab that is open before the others is closed. */
let closeFirst: () => void;

beforeEach(() => {
  locks = new FakeLocks();
  vi.stubGlobal('navigator', { locks });
  const closed = new Promise<void>((resolve) => {
    closeFirst = resolve;
  });
  void locks.request(FIRST, () => closed);
});

async function openTab() {
  vi.resetModules();
  const { ModelLoader } = await import('./model-loader.ts');
  const { Tabs } = await import('./tabs.ts');
  const { loaded, loading, loadedElsewhere } = await import('../state/models.ts');
  const { problem } = await import('../state/notices.ts');
  const tabs = new Tabs();
  tabs.start(() => {});
  const loader = new ModelLoader({
    engine: {
      load: async ({ modelId }) => ({ summary: { id: modelId }, compute: { kind: 'gpu' } }) as LoadedModel,
      probe: async () => ({}),
      unload: async () => {},
      stop: async () => {},
    },
    restartEngine: () => {},
    runs: { stopAndWait: async () => {} },
    sessions: { save: async () => {} },
    tabs,
  });
  return {
    loader,
    /** What the user sees. */
    get shows(): string {
      if (loaded.value || loading.value) return 'model';
      return problem.value?.code === 'loaded-elsewhere' && loadedElsewhere.value.length > 0 ? 'notice' : 'nothing';
    },
  };
}
type Tab = Awaited<ReturnType<typeof openTab>>;

const shown = (tabs: Tab[]): string[] => tabs.map(({ shows }) => shows).sort();
/** Time in which a tab that does not wait would have loaded. */
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

it('when a tab with a large model is closed, one of those that wait loads it, and the next one after that', async () => {
  const tabs = [await openTab(), await openTab(), await openTab()];
  await Promise.all(tabs.map(({ loader }) => loader.loadCarefully(LARGE)));
  expect(shown(tabs)).toEqual(['notice', 'notice', 'notice']);
  const owners = new Set<string>();
  for (const expected of [['model', 'notice', 'notice'], ['model', 'notice'], ['model']]) {
    if (owners.size === 0) closeFirst();
    await vi.waitFor(() => expect(shown(tabs)).toEqual(expected));
    await settle();
    expect(shown(tabs)).toEqual(expected);
    const [owner, ...others] = locks.names(LOADED_LOCK_PREFIX);
    expect(others).toEqual([]);
    owners.add(owner);
    tabs.splice(
      tabs.findIndex(({ shows }) => shows === 'model'),
      1,
    );
    locks.close(owner);
  }
  expect(owners.size).toBe(3);
});

it('of tabs that are restored together, one loads it, and the others wait for that', async () => {
  closeFirst();
  const tabs = [await openTab(), await openTab()];
  await Promise.all(tabs.map(({ loader }) => loader.loadCarefully(LARGE)));
  await settle();
  expect(shown(tabs)).toEqual(['model', 'notice']);
  const waiting = tabs.find(({ shows }) => shows === 'notice')!;
  locks.close(locks.names(LOADED_LOCK_PREFIX)[0]);
  await vi.waitFor(() => expect(waiting.shows).toBe('model'));
});
