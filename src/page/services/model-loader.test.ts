import { effect } from '@preact/signals';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { LoadedModel, LoadRequest, ProbeReport } from '../../contract/engine-api.ts';

vi.mock('../state/database.ts', () => import('../state/database-testing.ts'));
vi.stubGlobal('document', { documentElement: { style: {} } });
vi.stubGlobal('location', { hash: '' });
vi.stubGlobal('addEventListener', () => {});

const { ModelLoader } = await import('./model-loader.ts');
const { lastLoaded, loaded, loadedElsewhere, loading, models, probed } = await import('../state/models.ts');
const { problem } = await import('../state/notices.ts');
const { changeSettings, DEFAULT_SETTINGS } = await import('../state/settings.ts');
const { aborted, MixtabError } = await import('../../contract/errors.ts');

let loads: LoadRequest[] = [];
let loadFails: InstanceType<typeof MixtabError> | undefined;
let report: ProbeReport = {};
let probeFails: InstanceType<typeof MixtabError> | undefined;
let stopFails = false;
const restartEngine = (): void => {};

const newLoader = () =>
  new ModelLoader({
    engine: {
      async load(request) {
        loads.push(request);
        if (loadFails) throw loadFails;
        const compute = { kind: request.compute === 'cpu' ? 'cpu' : 'gpu', reason: 'requested' };
        return { summary: { id: request.modelId, hasChatTemplate: false }, compute } as LoadedModel;
      },
      async probe() {
        if (probeFails) throw probeFails;
        return report;
      },
      unload: async () => {},
      stop: async () => {},
    },
    restartEngine,
    runs: {
      async stopAndWait() {
        if (stopFails) throw new Error('the worker is gone');
      },
    },
    sessions: { save: async () => {} },
    tabs: {
      claim: async ({ storedBytes }) => storedBytes < 1e9 || loadedElsewhere.value.length === 0,
    },
  });

beforeEach(() => {
  loads = [];
  loadFails = probeFails = undefined;
  report = {};
  loaded.value = lastLoaded.value = probed.value = problem.value = undefined;
  changeSettings(DEFAULT_SETTINGS);
  stopFails = false;
  loadedElsewhere.value = [];
});

describe('a large model while another tab has one in memory', () => {
  const large = { id: 'large', name: 'Mixtral', storedBytes: 26.4e9 };

  it('is not loaded, says what it would cost, and is loaded once the other tab is closed', async () => {
    loadedElsewhere.value = ['large'];
    await newLoader().loadCarefully(large);
    expect(problem.value).toMatchObject({ code: 'loaded-elsewhere', remedy: expect.stringContaining('26.4 GB more') });
    loadedElsewhere.value = ['large', 'other'];
    await Promise.resolve();
    expect(loads).toEqual([]);
    loadedElsewhere.value = [];
    await vi.waitFor(() => expect(loaded.value?.summary.id).toBe('large'));
    expect(loads).toHaveLength(1);
    expect(problem.value).toBeUndefined();
  });

  it.each([
    [{ compute: 'cpu', cpuBudgetMegabytes: 4000, gpuBudgetMegabytes: 1000, ramBudgetMegabytes: 1000 }, '4.0 GB'],
    [{ compute: 'gpu', cpuBudgetMegabytes: 1000, gpuBudgetMegabytes: 6000, ramBudgetMegabytes: 2000 }, '8.0 GB'],
    [{ compute: 'gpu', gpuBudgetMegabytes: 6000 }, '26.4 GB'], // main memory may keep all experts that do not fit
    [{ compute: 'cpu', cpuBudgetMegabytes: 64_000 }, '26.4 GB'],
  ] as const)('with the budgets %j would take up to %s', async (budgets, expected) => {
    changeSettings(budgets);
    loadedElsewhere.value = ['large'];
    await newLoader().loadCarefully(large);
    expect(problem.value?.remedy).toContain(`up to about ${expected} more.`);
  });

  it('is not loaded afterwards if the user chose another one meanwhile', async () => {
    loadedElsewhere.value = ['large'];
    const loader = newLoader();
    await loader.loadCarefully(large);
    await loader.load({ id: 'small', name: 'small' });
    loadedElsewhere.value = [];
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(loads.map(({ modelId }) => modelId)).toEqual(['small']);
  });

  it('is not loaded at the first click on the models page either, but at the second', async () => {
    models.value = [large as never];
    loadedElsewhere.value = ['large'];
    const loader = newLoader();
    await loader.use(large);
    expect([problem.value?.code, loads]).toEqual(['loaded-elsewhere', []]);
    await loader.use(large);
    expect(loads).toHaveLength(1);
    models.value = [];
  });

  it('is loaded beside it if the user asks for it', async () => {
    models.value = [large as never];
    loadedElsewhere.value = ['large'];
    const loader = newLoader();
    await loader.loadCarefully(large);
    await loader.reload();
    expect(loads.map(({ modelId }) => modelId)).toEqual(['large']);
    models.value = [];
  });
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

it('keeps the notice that the engine could not be started until it can, and then loads the model', async () => {
  const loader = newLoader();
  probeFails = new MixtabError('worker-unavailable', 'The part of mixtab ... could not be loaded.');
  await loader.probe();
  const seen: (string | undefined)[] = [];
  const stop = problem.subscribe((value) => void seen.push(value?.code));
  await loader.load({ id: 'a', name: 'a' });
  stop();
  expect([...new Set(seen)]).toEqual(['worker-unavailable']);
  expect(loads).toEqual([]);
  probeFails = undefined;
  await loader.load({ id: 'a', name: 'a' });
  expect(problem.value).toBeUndefined();
  expect(loaded.value?.summary.id).toBe('a');
});

it('loads nothing if neither the GPU nor the CPU can compute', async () => {
  const gpuError = { code: 'webgpu-unsupported', message: 'No WebGPU.', remedy: '' } as const;
  report = { gpuError, cpuError: { code: 'wasm-unsupported', message: 'No SIMD.', remedy: '' } };
  const loader = newLoader();
  await loader.probe();
  await loader.load({ id: 'a', name: 'a' });
  expect(loads).toEqual([]);
});

describe('a GPU that was absent', () => {
  const gpuError = { code: 'webgpu-no-adapter', message: 'No adapter.', remedy: '' } as const;
  const gpu: ProbeReport = { automatic: { kind: 'gpu', reason: 'gpu' } };

  it('is looked for again by the next load, if the CPU cannot compute either', async () => {
    report = { gpuError, cpuError: { code: 'wasm-unsupported', message: 'No SIMD.', remedy: '' } };
    const loader = newLoader();
    await loader.probe();
    report = gpu;
    await loader.load({ id: 'a', name: 'a' });
    expect([probed.value, loaded.value?.summary.id]).toEqual([gpu, 'a']);
  });

  it('is looked for again by the next load, which does not wait for that if the CPU can compute', async () => {
    report = { gpuError, automatic: { kind: 'cpu', reason: 'no-gpu' } };
    const loader = newLoader();
    await loader.probe();
    let answer = (_report: ProbeReport): void => {};
    report = new Promise<ProbeReport>((resolve) => (answer = resolve)) as unknown as ProbeReport;
    await loader.load({ id: 'a', name: 'a' });
    expect(loaded.value?.summary.id).toBe('a');
    answer(gpu);
    await vi.waitFor(() => expect(probed.value).toEqual(gpu));
  });

  it('is still absent, and nothing else, if the engine ends while it looks again', async () => {
    report = { gpuError, automatic: { kind: 'cpu', reason: 'no-gpu' } };
    const loader = newLoader();
    await loader.probe();
    probeFails = aborted();
    await loader.load({ id: 'a', name: 'a' });
    expect(probed.value).toEqual(report);
  });
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

describe('a model whose device was lost', () => {
  let waits: number[] = [];
  const lost = () => new MixtabError('webgpu-device-lost', 'The browser took the GPU away.');
  const absent = () => new MixtabError('webgpu-no-adapter', 'No adapter.');
  /** What the next loads do: throw the error, or load. */
  let outcomes: (InstanceType<typeof MixtabError> | undefined)[] = [];
  let stops = 0;

  const lossyLoader = (wait = async (_ms: number): Promise<void> => {}) =>
    new ModelLoader({
      engine: {
        async load(request) {
          loads.push(request);
          const error = outcomes.shift();
          if (error) throw error;
          const compute = { kind: 'gpu', reason: request.compute ? 'requested' : 'gpu' };
          return { summary: { id: request.modelId, name: 'A' }, compute } as LoadedModel;
        },
        probe: async () => report,
        unload: async () => {},
        stop: async () => {},
      },
      restartEngine,
      runs: {
        async stopAndWait() {
          stops++;
        },
      },
      sessions: { save: async () => {} },
      tabs: {
        claim: async ({ storedBytes }) => storedBytes < 1e9 || loadedElsewhere.value.length === 0,
      },
      wait: (ms) => {
        waits.push(ms);
        return wait(ms);
      },
    });

  beforeEach(() => {
    waits = [];
    outcomes = [];
    stops = 0;
  });

  it('is loaded again on the GPU with patience, without stopping the run', async () => {
    const loader = lossyLoader();
    await loader.load({ id: 'a', name: 'A' });
    const stopsBefore = stops;
    outcomes = [absent(), absent(), lost()];
    expect(await loader.recover(new AbortController().signal)).toBe(true);
    expect(waits).toEqual([0, 1000, 2000, 4000]);
    expect(loads.at(-1)).toEqual({ modelId: 'a', compute: 'gpu' });
    // Nobody has chosen the GPU, so the page must not say so.
    expect(loaded.value?.compute).toEqual({ kind: 'gpu', reason: 'gpu' });
    expect([stops, problem.value]).toEqual([stopsBefore, undefined]);
  });

  it('is given up after a bit more than the two minutes in which Chromium offers no GPU', async () => {
    const loader = lossyLoader();
    await loader.load({ id: 'a', name: 'A' });
    outcomes = new Array(20).fill(absent());
    let said: unknown;
    const stop = effect(() => {
      said = loading.value ?? said;
    });
    expect(await loader.recover(new AbortController().signal)).toBe(false);
    stop();
    expect(waits.reduce((sum, ms) => sum + ms)).toBe(130_000);
    expect(said).toMatchObject({ name: 'A', again: true, deviceAbsent: true });
    expect([loaded.value, loading.value]).toEqual([undefined, undefined]);
  });

  it.each(['the run is stopped', 'the load is cancelled'])('is waited for no longer once %s', async (what) => {
    const loader = lossyLoader(() => new Promise(() => {}));
    await loader.load({ id: 'a', name: 'A' });
    const run = new AbortController();
    const recovered = loader.recover(run.signal);
    await vi.waitFor(() => expect(loading.value?.again).toBe(true));
    const next = loader.load({ id: 'b', name: 'B' });
    if (what === 'the run is stopped') run.abort();
    else loader.cancelLoad();
    expect(await recovered).toBe(false);
    await next;
    expect(loaded.value?.summary.id).toBe('b');
  });

  it('is given up at once after another error', async () => {
    const loader = lossyLoader();
    await loader.load({ id: 'a', name: 'A' });
    outcomes = [new MixtabError('record-missing', 'A record is missing.')];
    await expect(loader.recover(new AbortController().signal)).rejects.toMatchObject({ code: 'record-missing' });
    expect(waits).toEqual([0]);
  });

  it('does not keep another model waiting that the user chooses meanwhile', async () => {
    const run = new AbortController();
    let runEnded: Promise<unknown> = Promise.resolve();
    const loader = new ModelLoader({
      engine: {
        load: async (request) =>
          ({ summary: { id: request.modelId, name: request.modelId }, compute: { kind: 'gpu' } }) as LoadedModel,
        probe: async () => report,
        unload: async () => {},
        stop: async () => {},
      },
      restartEngine,
      runs: {
        async stopAndWait() {
          run.abort();
          await runEnded;
        },
      },
      sessions: { save: async () => {} },
      tabs: {
        claim: async ({ storedBytes }) => storedBytes < 1e9 || loadedElsewhere.value.length === 0,
      },
      wait: async () => {},
    });
    await loader.load({ id: 'a', name: 'A' });
    const fresh = new AbortController();
    const other = loader.load({ id: 'b', name: 'B' });
    runEnded = Promise.resolve();
    runEnded = loader.recover(run.signal);
    await other;
    expect(await runEnded).toBe(false);
    expect(loaded.value?.summary.id).toBe('b');
    expect(await loader.recover(fresh.signal)).toBe(true);
    expect(loaded.value?.summary.id).toBe('b');
  });
});

it('loads a model again that is used while it is imported', async () => {
  models.value = [];
  const loader = newLoader();
  loadFails = new MixtabError('webgpu-device-lost', 'It is gone.');
  await loader.load({ id: 'early', name: 'early' });
  loadFails = undefined;
  await loader.reload();
  expect(loaded.value?.summary.id).toBe('early');
});

describe('an engine that does not react', () => {
  /** Rejects the load that hangs. */
  let endLoad: (() => void) | undefined;
  let restarts = 0;
  let hangs = true;

  const hangingLoader = () =>
    new ModelLoader({
      engine: {
        load(request) {
          loads.push(request);
          if (!hangs) return Promise.resolve({ summary: { id: request.modelId, name: 'A' } } as LoadedModel);
          return new Promise((_, reject) => (endLoad = () => reject(aborted())));
        },
        probe: async () => report,
        unload: async () => {},
        stop: () => new Promise(() => {}),
      },
      restartEngine() {
        restarts++;
        endLoad?.();
      },
      runs: { stopAndWait: async () => {} },
      sessions: { save: async () => {} },
      tabs: {
        claim: async ({ storedBytes }) => storedBytes < 1e9 || loadedElsewhere.value.length === 0,
      },
    });

  beforeEach(() => {
    vi.useFakeTimers();
    [restarts, hangs, endLoad] = [0, true, undefined];
    return () => vi.useRealTimers();
  });

  it('is ended if a cancelled load does not stop, and the next load works', async () => {
    const loader = hangingLoader();
    const load = loader.load({ id: 'a', name: 'A' });
    await vi.advanceTimersByTimeAsync(1);
    loader.cancelLoad();
    await vi.advanceTimersByTimeAsync(1000);
    expect([restarts, loading.value?.stopping]).toEqual([0, true]);
    await vi.advanceTimersByTimeAsync(10_000);
    await load;
    expect([restarts, loading.value, loaded.value, problem.value]).toEqual([1, undefined, undefined, undefined]);
    hangs = false;
    await loader.load({ id: 'a', name: 'A' });
    await vi.advanceTimersByTimeAsync(10_000);
    expect([restarts, loaded.value?.summary.id]).toEqual([1, 'a']);
  });

  it('is ended by a restart, and the model is loaded again', async () => {
    hangs = false;
    const loader = hangingLoader();
    await loader.load({ id: 'a', name: 'A' });
    await loader.restart();
    expect([restarts, loads.length, loaded.value?.summary.id]).toEqual([1, 2, 'a']);
  });
});

describe('a model that was held back', () => {
  it('is not loaded, and its note stays until a model is', async () => {
    const notes = new Map<string, string>();
    vi.stubGlobal('localStorage', {
      setItem: (name: string, value: string) => void notes.set(name, value),
      removeItem: (name: string) => void notes.delete(name),
    });
    const loader = newLoader();
    loader.holdBack({ id: 'm', name: 'M' }, { modelId: 'm', name: 'M', megabytes: 7 });
    expect(loads).toEqual([]);
    expect(problem.value?.code).toBe('load-interrupted');
    const note = (): unknown[] => [...notes.values()].map((value) => JSON.parse(value));
    expect(note()).toEqual([{ modelId: 'm', name: 'M', megabytes: 7, heldBack: true }]);
    await loader.load({ id: 'm', name: 'M' });
    expect(loads).toHaveLength(1);
    expect(note()).toEqual([{ modelId: 'm', name: 'M' }]);
  });
});
