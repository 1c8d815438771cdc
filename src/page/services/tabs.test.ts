import { beforeEach, expect, it, vi } from 'vitest';
import type { LoadedModel } from '../../contract/engine-api.ts';

vi.mock('../state/database.ts', () => import('../state/database-testing.ts'));
vi.stubGlobal('document', { documentElement: { style: {} } });

/** Names of the locks that other tabs hold. */
let held: string[] = [];
const waiting: { name: string; grant: () => void }[] = [];
vi.stubGlobal('navigator', {
  locks: {
    query: async () => ({ held: held.map((name) => ({ name })) }),
    request: (name: string) => new Promise<void>((grant) => waiting.push({ name, grant })),
  },
});

const { FakeLocks } = await import('../../contract/fake-locks-testing.ts');
const { Tabs } = await import('./tabs.ts');
const { loaded, loadedElsewhere, loading, requestedId } = await import('../state/models.ts');
const { changeSettings } = await import('../state/settings.ts');
const { LOADED_LOCK_PREFIX } = await import('../../contract/loaded-lock.ts');

beforeEach(() => {
  held = [`${LOADED_LOCK_PREFIX}mixtral/tab-1`];
  waiting.length = 0;
  loadedElsewhere.value = [];
});

it('only a large model is too much beside that of another tab', async () => {
  const { locks } = navigator;
  const allLocks = new FakeLocks();
  vi.stubGlobal('navigator', { locks: allLocks });
  void allLocks.request(held[0], () => new Promise(() => {}));
  const tabs = new Tabs();
  const claims = (storedBytes: number): Promise<boolean> => tabs.claim({ id: 'large', storedBytes });
  expect(await claims(24e6)).toBe(true);
  expect(await claims(26e9)).toBe(false);
  changeSettings({ compute: 'cpu', cpuBudgetMegabytes: 900 });
  expect(await claims(26e9)).toBe(true); // it takes no more than its budget
  changeSettings({ compute: 'auto', cpuBudgetMegabytes: undefined });
  allLocks.close(held[0]);
  expect(await claims(26e9)).toBe(true);
  vi.stubGlobal('navigator', { locks });
});

it('notices by its lock that another tab was closed, which sends no message', async () => {
  await new Tabs().refresh();
  expect(loadedElsewhere.value).toEqual(['mixtral']);
  expect(waiting.map(({ name }) => name)).toEqual(held);
  held = [];
  waiting[0].grant();
  await vi.waitFor(() => expect(loadedElsewhere.value).toEqual([]));
});

it('holds the lock of its model from the beginning of the load, so that no other tab deletes what is being read', async () => {
  vi.stubGlobal(
    'BroadcastChannel',
    class {
      postMessage(): void {}
    },
  );
  const own = () => waiting.map(({ name }) => name.split('/')[1]);
  held = [];
  new Tabs().start(() => {});
  requestedId.value = 'mixtral';
  loading.value = { name: 'Mixtral', progress: undefined };
  expect(own()).toEqual(['mixtral']);
  loading.value = { name: 'Mixtral', progress: { stage: 'records' } as never };
  loaded.value = { summary: { id: 'mixtral' } } as LoadedModel;
  loading.value = undefined;
  expect(own()).toEqual(['mixtral']); // held all the time
  requestedId.value = 'story';
  loading.value = { name: 'Story', progress: undefined };
  loaded.value = undefined;
  expect(own()).toEqual(['mixtral', 'story']);
  loading.value = undefined; // it failed
  vi.unstubAllGlobals();
});
