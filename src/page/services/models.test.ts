import { beforeEach, expect, it, vi } from 'vitest';

const loads: string[] = [];
let stopFails = false;

vi.mock('./workers.ts', () => ({
  engine: {
    async load({ modelId }: { modelId: string }) {
      loads.push(modelId);
      return { summary: { id: modelId, hasChatTemplate: false } };
    },
  },
  importer: {},
}));
vi.mock('./answers.ts', () => ({
  async stopAndWait() {
    if (stopFails) throw new Error('the worker is gone');
  },
}));
vi.mock('./sessions.ts', () => ({ leaveModel: async () => {}, refreshSessions: async () => {} }));
vi.mock('idb-keyval', () => ({ createStore: () => ({}), get: async () => undefined, set: async () => {} }));
vi.stubGlobal('document', { baseURI: 'http://x/', documentElement: { style: {} } });
vi.stubGlobal('location', { hash: '' });
vi.stubGlobal('addEventListener', () => {});

const { loadModel } = await import('./models.ts');
const { loaded, problem } = await import('../state/state.ts');

beforeEach(() => {
  loads.length = 0;
  stopFails = false;
});

it('models are loaded one after the other; one that failed does not hold up the next', async () => {
  await Promise.all(['a', 'b'].map((id) => loadModel({ id, name: id })));
  expect(loads).toEqual(['a', 'b']);
  stopFails = true;
  await loadModel({ id: 'c', name: 'c' });
  expect(problem.value?.message).toBe('the worker is gone');
  stopFails = false;
  await loadModel({ id: 'd', name: 'd' });
  expect(loads).toEqual(['a', 'b', 'd']);
  expect(loaded.value?.summary.id).toBe('d');
});
