import { beforeEach, expect, it, vi } from 'vitest';
import type { LoadedModel, LoadRequest, ProbeReport } from '../../contract/engine-api.ts';

vi.mock('../state/database.ts', () => import('../state/database-testing.ts'));
vi.stubGlobal('document', { documentElement: { style: {} } });
vi.stubGlobal('location', { hash: '' });
vi.stubGlobal('addEventListener', () => {});

const { ModelLoader } = await import('./model-loader.ts');
const { lastLoaded, loaded, models, probed } = await import('../state/models.ts');
const { problem } = await import('../state/notices.ts');
const { changeSettings, DEFAULT_SETTINGS } = await import('../state/settings.ts');
const { MixtabError } = await import('../../contract/errors.ts');

let loads: LoadRequest[] = [];
let loadFails: InstanceType<typeof MixtabError> | undefined;
let report: ProbeReport = {};
let stopFails = false;

const newLoader = () =>
  new ModelLoader({
    engine: {
      async load(request) {
        loads.push(request);
        if (loadFails) throw loadFails;
        const compute = { kind: request.compute === 'cpu' ? 'cpu' : 'gpu', reason: 'requested' };
        return { summary: { id: request.modelId, hasChatTemplate: false }, compute } as LoadedModel;
      },
      probe: async () => report,
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
  loadFails = undefined;
  report = {};
  loaded.value = lastLoaded.value = probed.value = problem.value = undefined;
  changeSettings(DEFAULT_SETTINGS);
  stopFails = false;
});

it('loads models one after another, and the next one after a failure', async () => {
  const loader = newLoader();
  await Promise.all(['a', 'b'].map((id) => loader.load({ id, name: id })));
  expect(loads.map(({ modelId }) => modelId)).toEqual(['a', 'b']);
  stopFails = true;
  await loader.load({ id: 'c', name: 'c' });
  expect(problem.value?.message).toBe('the worker is gone');
  stopFails = false;
  await loader.load({ id: 'd', name: 'd' });
  expect(loads.map(({ modelId }) => modelId)).toEqual(['a', 'b', 'd']);
  expect(loaded.value?.summary.id).toBe('d');
});

it('loads on what the settings choose, with the limits that apply to it', async () => {
  report = { automatic: { kind: 'cpu', reason: 'no-gpu' } };
  changeSettings({ gpuBudgetMegabytes: 10, ramBudgetMegabytes: 20, cpuBudgetMegabytes: 30, threads: 2 });
  const loader = newLoader();
  await loader.probe();
  await loader.load({ id: 'a', name: 'a' });
  changeSettings({ compute: 'gpu' });
  await loader.load({ id: 'a', name: 'a' });
  expect(loads).toEqual([
    { modelId: 'a', threads: 2, gpuBudgetBytes: 10e6, ramBudgetBytes: 20e6, cpuBudgetBytes: 30e6 },
    { modelId: 'a', compute: 'gpu', gpuBudgetBytes: 10e6, ramBudgetBytes: 20e6 },
  ]);
});

it('loads nothing if neither the GPU nor the CPU can compute', async () => {
  const gpuError = { code: 'webgpu-unsupported', message: 'No WebGPU.', remedy: '' } as const;
  report = { gpuError, cpuError: { code: 'wasm-unsupported', message: 'No SIMD.', remedy: '' } };
  const loader = newLoader();
  await loader.probe();
  await loader.load({ id: 'a', name: 'a' });
  expect(loads).toEqual([]);
});

it('loads the model whose loading failed again, with changed settings', async () => {
  models.value = ['a', 'b'].map((id) => ({ id, name: id }) as (typeof models.value)[0]);
  const loader = newLoader();
  changeSettings({ compute: 'cpu', cpuBudgetMegabytes: 1 });
  loadFails = new MixtabError('ram-budget-too-small', '1 MB is too little.');
  changeSettings({ lastModelId: 'a' });
  await loader.load({ id: 'b', name: 'b' });
  expect([problem.value?.code, loaded.value]).toEqual(['ram-budget-too-small', undefined]);
  loadFails = undefined;
  await loader.reload({ cpuBudgetMegabytes: undefined });
  expect(loads.at(-1)).toEqual({ modelId: 'b', compute: 'cpu' });
  expect(problem.value).toBeUndefined();
  expect(lastLoaded.value).toBe(loaded.value);
});
