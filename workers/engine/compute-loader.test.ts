/** What the loader keeps from one model to the next: one device, its kernels, and how often it has failed. */
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LoadRequest } from '../../src/contract/engine-api.ts';
import { FakeDevice, stubWebGpuConstants } from '../compute/gpu/fake-device-testing.ts';
import type { Model } from '../compute/gpu/model/model.ts';
import type { WrongKernel } from '../compute/gpu/self-test/check.ts';
import * as choice from '../compute/gpu/variants/choose-kernels.ts';
import type { KernelChoice, KernelFamily } from '../compute/gpu/variants/kernel-variants.ts';
import { ModelRecords } from '../compute/model-records.ts';
import { importTiny } from '../import/testing.ts';
import { MemoryStore } from '../store/memory-store.ts';
import { SYNTH_PRESETS } from '../synth/presets.ts';
import { ComputeLoader } from './compute-loader.ts';
import { probe } from './probe.ts';

const cpuRequests: LoadRequest[] = [];
vi.mock('../compute/cpu/load-cpu-compute.ts', () => ({
  loadCpuCompute: async ({ request }: { request: LoadRequest }) => {
    cpuRequests.push(request);
    return { kind: 'cpu', threads: 1 };
  },
}));

/** What the self-test of the kernels finds wrong, run by run: the fake devices compute nothing. */
const wrong: (WrongKernel | undefined)[] = [];
/** The variants that it has tested. */
const tested: KernelChoice[] = [];
vi.mock('../compute/gpu/self-test/self-test.ts', async (original) => ({
  ...(await original<typeof import('../compute/gpu/self-test/self-test.ts')>()),
  findWrongKernel: async ({ ctx }: Model) => {
    tested.push(ctx.kernels);
    return wrong.shift();
  },
}));

vi.mock('../compute/gpu/variants/choose-kernels.ts', { spy: true });

const store = new MemoryStore();
let ids: string[];
let devices: FakeDevice[];
let loader: ComputeLoader;

beforeAll(async () => {
  ids = [];
  for (const seed of [1, 2]) ids.push((await importTiny(store, { ...SYNTH_PRESETS.tiny, seed, name: `M${seed}` })).id);
});

beforeEach(() => {
  stubWebGpuConstants();
  cpuRequests.length = 0;
  wrong.length = 0;
  tested.length = 0;
  devices = [];
  loader = new ComputeLoader();
  const limits = new FakeDevice(0).limits;
  vi.stubGlobal('navigator', {
    gpu: {
      requestAdapter: async () => ({
        info: { vendor: 'nvidia' },
        features: new Set(),
        limits,
        requestDevice: async () => {
          devices.push(new FakeDevice(1e9));
          return devices.at(-1);
        },
      }),
    },
  });
});
afterEach(() => vi.unstubAllGlobals());

async function load(request: Partial<LoadRequest> = {}) {
  const modelId = request.modelId ?? ids[0];
  const manifest = (await store.getManifest(modelId))!;
  const records = new ModelRecords({ read: (id, record) => store.readPartsVerified(id, record) }, manifest);
  return loader.load({ records, request: { context: 64, ...request, modelId }, onProgress: () => {} });
}

/** Loses the newest device, and lets the loader notice it. */
async function loseDevice(): Promise<void> {
  devices.at(-1)!.lose();
  await new Promise((resolve) => setTimeout(resolve));
}

it('takes turns between two models on one device, and compiles and keeps nothing more after the first turn', async () => {
  const used: number[] = [];
  const compiled: number[] = [];
  for (let turn = 0; turn < 10; turn++) {
    const { compute } = await load({ modelId: ids[turn % 2] });
    compute.destroy();
    used.push(devices[0].used);
    compiled.push(devices[0].pipelines.length);
  }
  expect(devices).toHaveLength(1);
  expect(new Set(compiled.slice(1)).size).toBe(1);
  expect(new Set(used.slice(1)).size).toBe(1);
});

describe('failures of the GPU', () => {
  it('lead to a new device after the first, and to the CPU after the second', async () => {
    expect((await load()).report).toEqual({ kind: 'gpu', reason: 'gpu' });
    await loseDevice();
    expect((await load()).report).toEqual({ kind: 'gpu', reason: 'gpu' });
    expect(devices).toHaveLength(2);
    await loseDevice();
    expect((await load()).report).toEqual({ kind: 'cpu', reason: 'gpu-failed', threads: 1 });
    // Whoever asks for the GPU gets it.
    expect((await load({ compute: 'gpu' })).report).toEqual({ kind: 'gpu', reason: 'requested' });
    expect(devices).toHaveLength(3);
  });

  it('count a device that cannot be opened', async () => {
    const { gpu } = navigator as unknown as { gpu: { requestAdapter(): Promise<object> } };
    const { requestAdapter } = gpu;
    gpu.requestAdapter = async () => ({
      ...(await requestAdapter()),
      requestDevice: () => Promise.reject(new Error('no device')),
    });
    await expect(load()).rejects.toThrow('no device');
    await expect(load()).rejects.toThrow('no device');
    expect((await load()).report.reason).toBe('gpu-failed');
  });

  it('do not count a model that was unloaded, or a load that failed for another reason', async () => {
    for (let attempt = 0; attempt < 3; attempt++) {
      (await load()).compute.destroy();
      await expect(load({ gpuBudgetBytes: 1 })).rejects.toMatchObject({ code: 'gpu-budget-too-small' });
    }
    expect((await load()).report.reason).toBe('gpu');
  });
});

describe('a browser that never answers whether it has a GPU', () => {
  beforeEach(() => {
    vi.stubGlobal('navigator', { gpu: { requestAdapter: () => new Promise(() => {}) } });
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    return () => vi.useRealTimers();
  });
  /** Lets 20 s pass, once the browser was asked. */
  const runOutOfPatience = async (): Promise<void> => {
    await vi.waitUntil(() => vi.getTimerCount() > 0);
    vi.advanceTimersByTime(20_000);
  };

  it('computes on the CPU', async () => {
    const probed = probe();
    await runOutOfPatience();
    expect(await probed).toMatchObject({
      automatic: { kind: 'cpu', reason: 'no-gpu' },
      gpuError: { code: 'webgpu-no-adapter' },
    });
    const loaded = load();
    await runOutOfPatience();
    expect((await loaded).report).toEqual({ kind: 'cpu', reason: 'no-gpu', threads: 1 });
  });

  it('is an error that says what to do if the GPU was asked for', async () => {
    const refused = expect(load({ compute: 'gpu' })).rejects.toMatchObject({
      code: 'webgpu-no-adapter',
      message: expect.stringContaining('has not answered'),
      remedy: expect.stringContaining('compute on the CPU'),
    });
    await runOutOfPatience();
    await refused;
  });
});

describe('the memory budget of the CPU', () => {
  it('is not the memory for evicted experts if the CPU was not asked for', async () => {
    for (let loss = 0; loss < 2; loss++) {
      await load();
      await loseDevice();
    }
    await load({ ramBudgetBytes: 10e6, gpuBudgetBytes: 20e6 });
    expect(cpuRequests[0].ramBudgetBytes).toBeUndefined();
    await load({ ramBudgetBytes: 10e6, cpuBudgetBytes: 30e6 });
    expect(cpuRequests[1].ramBudgetBytes).toBe(30e6);
  });

  it('is either of the two if the CPU was asked for', async () => {
    await load({ compute: 'cpu', ramBudgetBytes: 10e6 });
    await load({ compute: 'cpu', cpuBudgetBytes: 30e6 });
    expect(cpuRequests.map(({ ramBudgetBytes }) => ramBudgetBytes)).toEqual([10e6, 30e6]);
  });
});

describe('a GPU that computes wrong values', () => {
  const chooses = vi.mocked(choice.chooseKernels);
  beforeEach(() => {
    vi.spyOn(console, 'warn').mockImplementation(() => {});
    chooses.mockImplementation(async ({ kernels }) => kernels);
  });
  afterEach(() => {
    vi.mocked(console.warn).mockRestore();
    chooses.mockReset();
  });

  it('is replaced by the CPU, which says why', async () => {
    wrong.push({ name: 'router', family: 'between' });
    expect((await load()).report).toEqual({ kind: 'cpu', reason: 'gpu-wrong-values', threads: 1 });
    expect(devices[0].used - constantBytes(devices[0])).toBe(0);
    expect((await load({ modelId: ids[1] })).report.reason).toBe('gpu-wrong-values');
    expect(tested).toHaveLength(1);
  });

  it('is refused if the GPU was asked for, and checked again the next time', async () => {
    wrong.push({ name: 'sampler', family: 'sampler' });
    await expect(load({ compute: 'gpu' })).rejects.toMatchObject({
      code: 'gpu-wrong-values',
      remedy: expect.stringContaining('Choose the CPU'),
    });
    expect((await load({ compute: 'gpu' })).report.kind).toBe('gpu');
    expect(tested).toHaveLength(2);
  });

  describe('with measured kernels', () => {
    const measured = { vector: 'staged-64x4', few: 'staged', batch: 'tiled-32x32' } as const;
    const matrices = (family: KernelFamily): WrongKernel => ({ name: `matrices of ${family}`, family });
    beforeEach(() => {
      chooses.mockImplementation(async ({ kernels }) => ({ ...kernels, ...measured }));
    });

    it('gets standard ones for the families that are wrong, and checks all again', async () => {
      wrong.push(matrices('vector'), matrices('few'));
      expect((await load()).report).toEqual({ kind: 'gpu', reason: 'gpu' });
      expect(chooses).toHaveBeenCalledTimes(1);
      expect(tested.map(({ vector, few, batch }) => [vector, few, batch])).toEqual([
        ['staged-64x4', 'staged', 'tiled-32x32'],
        ['workgroup', 'staged', 'tiled-32x32'],
        ['workgroup', 'workgroup', 'tiled-32x32'],
      ]);
      for (const family of ['vector', 'few']) {
        expect(console.warn).toHaveBeenCalledWith(expect.stringContaining(`wrong values (matrices of ${family})`));
      }
    });

    it('is replaced by the CPU if the standard ones of that family are wrong as well', async () => {
      wrong.push(matrices('vector'), matrices('vector'));
      expect((await load()).report.reason).toBe('gpu-wrong-values');
      expect(tested).toHaveLength(2);
    });
  });
});

/** Bytes of the constants, which belong to the device. */
const constantBytes = ({ live }: FakeDevice): number =>
  [...live].reduce((sum, { label, size }) => sum + (label.startsWith('constants ') ? size : 0), 0);
