/** What decoding says about the speed of a GPU: only what it has really computed. On a GPU that computes nothing. */
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { layerIndex } from '../../../../src/contract/ids.ts';
import { SYNTH_PRESETS } from '../../../synth/presets.ts';
import type { Slice } from '../dispatch.ts';
import { FakeDevice, stubWebGpuConstants } from '../fake-device-testing.ts';
import { TRACE_STRIDE } from '../model/buffers.ts';
import { decodeProgram } from '../model/decode-program.ts';
import { runExperts } from '../model/moe-layer.ts';
import { Pacing } from '../pacing.ts';
import { Readback } from '../readback.ts';
import { type StoredModel, storeModel } from '../stored-model-testing.ts';
import { Decoder } from './decoder.ts';
import { loadAndRunExperts } from './run-experts.ts';

const LAYERS = 4;
let stored: StoredModel;

beforeAll(async () => {
  stored = await storeModel({ ...SYNTH_PRESETS.tiny, layers: LAYERS }, { context: 64 });
});
beforeEach(stubWebGpuConstants);
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** Loads the model. @param bindable bytes of one binding; decides into how many banks the experts of a layer are cut */
async function load(bindable = 2 ** 30) {
  const device = new FakeDevice(1e9);
  device.limits.maxStorageBufferBindingSize = bindable;
  return stored.loadModel(device.gpu);
}

const settle = () => new Promise((resolve) => setTimeout(resolve));
const sum = (dispatches: readonly { cost?: number }[]): number =>
  dispatches.reduce((all, { cost = 0 }) => all + cost, 0);

describe('a token', () => {
  /**
   * Computes a token with others behind it, or alone, and ends it where it stalls.
   * @returns how much faster the GPU is thought to be afterwards
   */
  async function speedup({ alone = false, stalledLayer = -1, experts: [first, second] = [0, 1] }): Promise<number> {
    const gpuModel = await load();
    let clock = 0;
    const pacing = new Pacing({ rate: 1000, now: () => (clock += 0.1) }); // a GPU that takes hardly any time
    const model = { ...gpuModel.model, ctx: { ...gpuModel.model.ctx, pacing } };
    const { state, trace } = model.buffers;
    vi.spyOn(gpuModel.experts, 'expectedMissedLayers').mockReturnValue(alone ? 1 : 0);
    const abort = new AbortController();
    const readback = new Readback(model.ctx.pipelines.device);
    const submit = vi.spyOn(readback, 'submit').mockImplementation(async (_, slices: readonly Slice[]) => {
      if (stalledLayer >= 0) abort.abort();
      return slices.map((slice) => {
        const words = new Uint32Array(slice.size / 4);
        if (slice === state.stallMark) words[0] = stalledLayer + 1;
        for (let l = 0; slice === trace && l < LAYERS; l++) words.set([first, second], (l * TRACE_STRIDE) / 4);
        return words.buffer;
      });
    });
    const decoder = new Decoder({ model, experts: gpuModel.experts, readback, signal: abort.signal }, 0);
    const before = pacing.dispatchCost;
    const token = decoder.nextToken(2);
    if (stalledLayer < 0) await token;
    else await expect(token).rejects.toMatchObject({ code: 'aborted' });
    await settle();
    expect(submit).toHaveBeenCalledTimes(alone ? 1 : 3);
    gpuModel.destroy();
    return pacing.dispatchCost / before;
  }

  it.each([
    ['with others behind it', false],
    ['alone', true],
  ])('%s shows how fast a GPU is if it has not stalled', async (_, alone) => {
    expect(await speedup({ alone })).toBeGreaterThan(2);
    expect(await speedup({ alone, stalledLayer: 2 })).toBe(1);
    expect(await speedup({ alone, experts: [3, 3] })).toBe(1); // it has skipped one
  });
});

describe('the cost of experts', () => {
  it('of a token is the same in one bank and in several', async () => {
    const one = await load();
    const several = await load(one.model.banks(layerIndex(0))[0].gateUp.size / 3);
    expect(one.model.banks(layerIndex(0))).toHaveLength(1);
    expect(several.model.banks(layerIndex(0)).length).toBeGreaterThan(2);
    const whole = sum(decodeProgram(one.model).whole);
    expect(sum(decodeProgram(several.model).whole) / whole).toBeCloseTo(1, 9);
  });

  it('of a prompt is charged to the bank that has them', async () => {
    const { model } = await load(2 ** 30);
    const several = (await load(model.banks(layerIndex(0))[0].gateUp.size / 3)).model;
    const groups = [
      { slot: 0, assignments: 3 },
      { slot: 1, assignments: 5 },
    ];
    const shape = { groupCount: 2, maxAssignments: 5, groups };
    const costs = runExperts(several, layerIndex(0), shape).map(({ cost }) => cost);
    const [{ slots }] = several.banks(layerIndex(0));
    expect(slots).toBeGreaterThanOrEqual(2); // both are in the first bank
    const whole = runExperts(model, layerIndex(0), shape).map(({ cost }) => cost);
    expect(costs.slice(0, whole.length)).toEqual(whole);
    expect(new Set(costs.slice(whole.length))).toEqual(new Set([0]));
    // 3 + 5 assignments and two reads, each worth 8 multiply-adds, of the gate and up matrices.
    const { embeddingLength, feedForwardLength } = model.config;
    expect(whole[0]).toBe(2 * embeddingLength * feedForwardLength * (3 + 5 + 2 * 8));
  });

  it('of a token that runs one after the other is no more than at once', async () => {
    const { model, experts } = await load();
    const layer = layerIndex(0);
    const dispatches = decodeProgram(model).experts(layer);
    const submitted: number[] = [];
    const context = { inputs: { model, experts, signal: new AbortController().signal } };
    const submit = (part: typeof dispatches): void => void submitted.push(sum(part));
    const slotOf = experts.slotOf.bind(experts);
    vi.spyOn(experts, 'slotOf').mockImplementation((l, expert) => (expert === 1 ? undefined : slotOf(l, expert)));
    vi.spyOn(experts, 'load').mockImplementation(() => {
      vi.mocked(experts.slotOf).mockImplementation(slotOf);
      return [Promise.resolve(), Promise.resolve()];
    });
    const stall = { layer, selectedExperts: Uint32Array.of(0, 1), predictions: [] };
    const pending = await loadAndRunExperts(
      { ...context, submit } as unknown as Parameters<typeof loadAndRunExperts>[0],
      stall,
      dispatches,
    );
    expect([...submitted, sum(pending)]).toEqual([sum(dispatches) / 2, sum(dispatches) / 2]);
  });
});
