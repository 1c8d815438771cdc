import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { receivePageFacts } from '../../../src/contract/page-facts.ts';
import { AdapterMemory } from '../../store/adapter-memory.ts';
import { SYNTH_PRESETS } from '../../synth/presets.ts';
import { FakeDevice, stubWebGpuConstants } from './fake-device-testing.ts';
import { changeHistory } from './gpu-budget.ts';
import type { Gpu } from './open-gpu.ts';
import { noteRamUse, ramBudget } from './ram-budget.ts';
import { storeModel } from './stored-model-testing.ts';

const GIB = 2 ** 30;
const card = { software: false, vendor: 'nvidia', readRate: 500e9 };

/** The locks of a site. */
class FakeLocks {
  readonly #held = new Set<string>();
  readonly #last = new Map<string, Promise<unknown>>();

  request(name: string, _options: object, run: () => Promise<unknown>): Promise<unknown> {
    const granted = (this.#last.get(name) ?? Promise.resolve()).then(() => {
      this.#held.add(name);
      return run();
    });
    this.#last.set(name, granted);
    return granted.finally(() => this.#held.delete(name));
  }

  async query() {
    return { held: [...this.#held].map((name) => ({ name })) };
  }

  /** The browser releases the locks of a worker that ends. */
  end(worker: string): void {
    for (const name of this.#held) if (name.endsWith(`/${worker}`)) this.#held.delete(name);
  }
}

let locks: FakeLocks;
let tabs = 0;

beforeEach(() => {
  locks = new FakeLocks();
  vi.stubGlobal('navigator', { deviceMemory: 16, locks });
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** From here on, this is the worker of another tab. */
function becomeTab(workerId = `worker ${++tabs}`, closings: Record<string, number> = {}): string {
  const page = new EventTarget();
  receivePageFacts(page);
  const data = { mixtabPageFacts: { maxTouchPoints: 0, workerId, closings } };
  page.dispatchEvent(new MessageEvent('message', { data }));
  return workerId;
}

const remembering = () => ({ memory: new AdapterMemory('card'), measureMemory: true });

/** Loads a model as a load does that keeps experts in main memory. */
async function load(gpu: ReturnType<typeof remembering>) {
  const budget = await ramBudget(gpu, card, undefined);
  return { budget, ...(await noteRamUse(gpu, budget)) };
}

describe('the automatic budget of main memory', () => {
  it('stays the same in further tabs, and when a model takes the place of another', async () => {
    const gpu = remembering();
    becomeTab();
    expect((await load(gpu)).budget).toBe(8 * GIB);
    becomeTab();
    expect((await load(gpu)).budget).toBe(8 * GIB);
    becomeTab();
    const { budget, destroy } = await load(gpu);
    expect(budget).toBe(8 * GIB);
    destroy();
    expect((await load(gpu)).budget).toBe(8 * GIB);
    expect((await load(gpu)).budget).toBe(8 * GIB);
  });

  it('is half after a tab that died, even if others were closed since, and the user has the last word', async () => {
    const gpu = remembering();
    const first = becomeTab();
    await load(gpu);
    const second = becomeTab();
    await load(gpu);
    locks.end(first);
    locks.end(second);
    becomeTab(undefined, { [second]: Date.now() });
    expect((await load(gpu)).budget).toBe(4 * GIB);
    expect(await ramBudget(gpu, card, 7 * GIB)).toBe(7 * GIB);
    const later = Date.now() + 25 * 60 * 60 * 1000;
    vi.spyOn(Date, 'now').mockReturnValue(later);
    expect(await ramBudget(gpu, card, undefined)).toBe(8 * GIB);
  });

  it('stays the same after a tab that was closed while this one was open, and after an unloaded model', async () => {
    const gpu = remembering();
    const first = becomeTab();
    await load(gpu);
    const second = becomeTab();
    locks.end(first);
    becomeTab(second, { [first]: Date.now() });
    const { budget, destroy } = await load(gpu);
    expect(budget).toBe(8 * GIB);
    destroy();
    await vi.waitFor(async () => expect(await gpu.memory.get('main memory')).toEqual({ uses: [] }));
    locks.end(second);
    becomeTab();
    expect((await load(gpu)).budget).toBe(8 * GIB);
  });

  it('is nothing if the GPU shares main memory, and nothing is remembered without measurements or locks', async () => {
    const memory = new AdapterMemory('card');
    const set = vi.spyOn(memory, 'set');
    becomeTab();
    expect(await ramBudget({ memory, measureMemory: true }, { ...card, readRate: 50e9 }, undefined)).toBe(0);
    expect((await load({ memory, measureMemory: false })).budget).toBe(8 * GIB);
    vi.stubGlobal('navigator', { deviceMemory: 16 });
    expect((await load({ memory, measureMemory: true })).budget).toBe(8 * GIB);
    expect(set).not.toHaveBeenCalled();
  });

  it('is noted only by a load that keeps experts there, until its model is unloaded', async () => {
    stubWebGpuConstants();
    const worker = becomeTab();
    const { load: loadStored } = await storeModel({ ...SYNTH_PRESETS.tiny, feedForwardLength: 1024 }, { context: 64 });
    const gpu: Gpu = { ...new FakeDevice(1e9).gpu, measureMemory: true, memory: new AdapterMemory('fake') };
    await changeHistory(gpu, () => ({ readRate: 1e12 }));
    const notes = () => gpu.memory.get('main memory');
    const whole = await loadStored(gpu);
    const gpuBudgetBytes = whole.memory().gpuBytes * 0.75;
    whole.destroy();
    expect(await notes()).toBeUndefined(); // every expert had a slot
    (await loadStored(gpu, { gpuBudgetBytes, ramBudgetBytes: 1e6 })).destroy();
    expect(await notes()).toBeUndefined(); // the user's own budget
    const compute = await loadStored(gpu, { gpuBudgetBytes });
    expect(await notes()).toEqual({ uses: [{ worker, at: expect.any(Number), bytes: 8 * GIB }] });
    compute.destroy();
    await vi.waitFor(async () => expect(await notes()).toEqual({ uses: [] }));
  });

  it('is noted once, and not halved, after a GPU was lost and the model loaded again', async () => {
    stubWebGpuConstants();
    const worker = becomeTab();
    const { load: loadStored } = await storeModel({ ...SYNTH_PRESETS.tiny, feedForwardLength: 1024 }, { context: 64 });
    const memory = new AdapterMemory('fake');
    const open = (): Gpu => ({ ...new FakeDevice(1e9).gpu, measureMemory: true, memory });
    await changeHistory(open(), () => ({ readRate: 1e12 }));
    const whole = await loadStored(open());
    const gpuBudgetBytes = whole.memory().gpuBytes * 0.75;
    whole.destroy();
    for (let loss = 0; loss < 3; loss++) {
      const gpu = open();
      const compute = await loadStored(gpu, { gpuBudgetBytes });
      expect(await memory.get('main memory')).toEqual({ uses: [{ worker, at: expect.any(Number), bytes: 8 * GIB }] });
      (gpu.device as unknown as FakeDevice).lose();
      await vi.waitFor(() => expect(compute.failure.aborted).toBe(true));
      compute.destroy(); // as the engine does before the next load
    }
  });
});
