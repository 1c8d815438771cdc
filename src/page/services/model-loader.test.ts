import { beforeEach, expect, it, vi } from 'vitest';
import type { LoadedModel } from '../../contract/engine-api.ts';

vi.mock('idb-keyval', () => ({ createStore: () => ({}), get: async () => undefined, set: async () => {} }));
vi.stubGlobal('document', { documentElement: { style: {} } });
vi.stubGlobal('location', { hash: '' });
vi.stubGlobal('addEventListener', () => {});

const { ModelLoader } = await import('./model-loader.ts');
const { loaded } = await import('../state/models.ts');
const { problem } = await import('../state/notices.ts');

let loads: string[] = [];
let stopFails = false;

const newLoader = () =>
  new ModelLoader({
    engine: {
      async load({ modelId }) {
        loads.push(modelId);
        return { summary: { id: modelId, hasChatTemplate: false } } as LoadedModel;
      },
      probe: async () => expect.fail('not needed'),
      unload: async () => {},
    },
    runs: {
      async stopAndWait() {
        if (stopFails) throw new Error('the worker is gone');
      },
    },
    sessions: { save: async () => {} },
  });

beforeEach(() => {
  loads = [];
  stopFails = false;
});

it('loads models one after another, and the next one after a failure', async () => {
  const loader = newLoader();
  await Promise.all(['a', 'b'].map((id) => loader.load({ id, name: id })));
  expect(loads).toEqual(['a', 'b']);
  stopFails = true;
  await loader.load({ id: 'c', name: 'c' });
  expect(problem.value?.message).toBe('the worker is gone');
  stopFails = false;
  await loader.load({ id: 'd', name: 'd' });
  expect(loads).toEqual(['a', 'b', 'd']);
  expect(loaded.value?.summary.id).toBe('d');
});
