/** A GPU that is lost while main memory is full of experts: the model that takes its place begins with an empty one. */
import { afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { type Bytes, expertIndex, layerIndex } from '../../src/contract/ids.ts';
import type { Compute } from '../compute/compute.ts';
import { FakeDevice, stubWebGpuConstants } from '../compute/gpu/fake-device-testing.ts';
import { sumBytes } from '../compute/model-records.ts';
import { isExpertKey } from '../format/manifest.ts';
import { importTiny } from '../import/testing.ts';
import { MemoryStore } from '../store/memory-store.ts';
import type { RecordReader } from '../store/record-reader.ts';
import { SYNTH_PRESETS } from '../synth/presets.ts';
import { ComputeLoader } from './compute-loader.ts';
import { Engine } from './engine.ts';

const LAYERS = 4;
const store = new MemoryStore();
let modelId: string;
let expertBytes: Bytes;
let devices: FakeDevice[];

beforeAll(async () => {
  modelId = (await importTiny(store, { ...SYNTH_PRESETS.tiny, layers: LAYERS })).id;
  const experts = (await store.getManifest(modelId))!.records.filter(({ key }) => isExpertKey(key));
  expertBytes = sumBytes(experts) / experts.length;
});

beforeEach(() => {
  stubWebGpuConstants();
  devices = [];
  const adapter = {
    info: { vendor: 'nvidia', description: 'SwiftShader' }, // measures nothing
    features: new Set(),
    limits: new FakeDevice(0).limits,
    requestDevice: async () => {
      devices.push(new FakeDevice(1e9));
      return devices.at(-1);
    },
  };
  vi.stubGlobal('navigator', { gpu: { requestAdapter: async () => adapter } });
});
afterEach(() => vi.unstubAllGlobals());

/** Notes what main memory holds for all models when one is loaded. */
class WatchingLoader extends ComputeLoader {
  readonly computes: Compute[] = [];
  readonly ramBytesBefore: Bytes[] = [];

  override async load(...args: Parameters<ComputeLoader['load']>): ReturnType<ComputeLoader['load']> {
    this.ramBytesBefore.push(this.ramBytes);
    const loaded = await super.load(...args);
    this.computes.push(loaded.compute);
    return loaded;
  }

  get ramBytes(): Bytes {
    return this.computes.reduce((sum, compute) => sum + compute.memory().ramBytes, 0);
  }
}

/** A model with slots for half of its experts, and main memory for five. */
async function loadModel() {
  const loader = new WatchingLoader();
  let release: () => void = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  let isHeld = false;
  const reader: RecordReader = {
    read: async (id, record) => {
      if (isHeld) await held;
      return store.readPartsVerified(id, record);
    },
  };
  const engine = new Engine(store, { reader, loader });
  const whole = await engine.load({ modelId, context: 64, compute: 'gpu' }, () => {});
  const request = {
    modelId,
    context: 64,
    compute: 'gpu' as const,
    gpuBudgetBytes: whole.memory.gpuBytes - 2.5 * LAYERS * expertBytes,
    ramBudgetBytes: 5.5 * expertBytes,
  };
  const hold = (): void => {
    isHeld = true;
  };
  const release_ = (): void => {
    isHeld = false;
    release();
  };
  return { loader, load: () => engine.load(request, () => {}), hold, release: release_ };
}

/** Loads all experts once, so that main memory is full of those that have lost their slots. */
async function fill({ experts, config }: Compute): Promise<void> {
  for (let layer = 0; layer < config.layerCount; layer++) {
    for (let expert = 0; expert < config.expertCount; expert++) {
      experts.recordAccess(layerIndex(layer), [expert]);
      await experts.loadAll(layerIndex(layer), [expertIndex(expert)]);
    }
  }
}

it('counts what it keeps in main memory once, however often the GPU is lost', async () => {
  const { loader, load } = await loadModel();
  for (let loss = 0; loss < 3; loss++) {
    const { memory, slots } = await load();
    expect(slots).toBeLessThan(8 * LAYERS);
    expect(memory.ramBytes).toBe(0);
    const compute = loader.computes.at(-1)!;
    await fill(compute);
    expect(compute.memory().ramBytes).toBe(5 * expertBytes);
    expect(loader.ramBytes).toBe(5 * expertBytes); // of all models
    devices.at(-1)!.lose();
    await new Promise((resolve) => setTimeout(resolve));
    expect(compute.failure.aborted).toBe(true);
  }
  const { memory } = await load();
  expect(memory.ramBytes).toBe(0);
  expect(loader.ramBytesBefore).toEqual([0, 0, 0, 0, 0]);
  expect(loader.ramBytes).toBe(0);
  expect(devices).toHaveLength(4);
});

it('keeps nothing that was still being read for the lost model', async () => {
  const { loader, load, hold, release } = await loadModel();
  await load();
  const lost = loader.computes.at(-1)!;
  await fill(lost);
  const all = Array.from({ length: 8 }, (_, e) => expertIndex(e));
  const missingIn = (l: number) => all.filter((expert) => lost.experts.slotOf(layerIndex(l), expert) === undefined);
  lost.experts.prefetchRecords(layerIndex(0), missingIn(0)); // read completely, but for nobody
  await new Promise((resolve) => setTimeout(resolve, 10));
  hold();
  const demanded = Promise.allSettled(lost.experts.load(layerIndex(1), missingIn(1)));
  lost.experts.prefetchRecords(layerIndex(2), missingIn(2));
  devices.at(-1)!.lose();
  await new Promise((resolve) => setTimeout(resolve));
  release();
  await load();
  await new Promise((resolve) => setTimeout(resolve, 10));
  const rejected = (await demanded).filter((load) => load.status === 'rejected');
  expect(rejected.length).toBeGreaterThan(0);
  for (const { reason } of rejected) expect(reason).toMatchObject({ code: 'aborted' });
  expect(lost.memory().ramBytes).toBe(0);
  await fill(loader.computes.at(-1)!);
  expect(loader.ramBytes).toBe(5 * expertBytes);
  for (const { badWrites } of devices) expect(badWrites).toEqual([]);
});
