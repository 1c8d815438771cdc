/**
 * Mixtral 8x7B on a GPU of 0.02 TFLOP/s and 5 GB/s that computes nothing: how long the screen would stand still. The
 * times are counted from the grids of the dispatches, not from their costs.
 */
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { layerIndex, tokenId } from '../../../src/contract/ids.ts';
import { onePart, type RecordParts } from '../../format/record-parts.ts';
import { syntheticRecords } from '../../measure/synthetic-model.ts';
import { SYNTH_PRESETS } from '../../synth/presets.ts';
import { ModelRecords } from '../model-records.ts';
import { FakeDevice, stubWebGpuConstants } from './fake-device-testing.ts';
import type { GpuModel } from './gpu-model.ts';
import { loadGpuModel } from './load-gpu-model.ts';
import { decodeProgram } from './model/decode-program.ts';
import { logitsOf } from './model/forward.ts';
import { runExperts } from './model/moe-layer.ts';
import { Pacing, submitPaced } from './pacing.ts';
import { attendAndRoute } from './prefill-chunk.ts';
import { type SlowGpu, slowDown } from './slow-gpu-testing.ts';

/** Multiply-adds per millisecond: 0.02 TFLOP/s. */
const RATE = 1e7;
const CONTEXT = 32768;
const TOKENS = 512;

beforeEach(stubWebGpuConstants);
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

let records: ModelRecords;
beforeAll(async () => {
  const { manifest } = await syntheticRecords({ ...SYNTH_PRESETS['8x7b'], layers: 2 });
  const read = async (_: string, { bytes }: { bytes: number }): Promise<RecordParts> => onePart(new Uint8Array(bytes));
  records = new ModelRecords({ read }, manifest);
});

/** Loads two layers of Mixtral, with all that is measured at the first load. */
async function loadMixtral(rate: number): Promise<{ slow: SlowGpu; gpuModel: GpuModel }> {
  const device = new FakeDevice(1e12);
  Object.assign(device.limits, { maxBufferSize: 4e9, maxStorageBufferBindingSize: 4e9 });
  const slow = slowDown(device, rate, CONTEXT);
  vi.spyOn(performance, 'now').mockImplementation(slow.now);
  const gpu = { ...device.gpu, pacing: new Pacing({ now: slow.now }), measureKernels: true, measureMemory: true };
  const request = { modelId: 'mixtral', context: CONTEXT, gpuBudgetBytes: 8e9 };
  const gpuModel = await loadGpuModel({ gpu, records, request, onProgress: () => {} });
  return { slow, gpuModel };
}

const longest = (times: readonly number[]): number => Math.max(...times);

describe('on a GPU of 0.02 TFLOP/s', () => {
  it('nothing takes more than 100 ms, and no submission more than 250, from the first load on', async () => {
    const { slow, gpuModel } = await loadMixtral(RATE);
    expect(slow.dispatches.length).toBeGreaterThan(10);
    expect(longest(slow.dispatches)).toBeLessThan(110);
    expect(longest(slow.submissions)).toBeLessThan(275);
    const { model } = gpuModel;
    expect(model.buffers.maxTokens).toBe(TOKENS);
    await model.kvCache.grow(CONTEXT);
    const tokens = Array.from({ length: TOKENS }, () => tokenId(0));
    const layer = layerIndex(0);
    const { headResidual, headNormed, logits } = model.buffers;
    const groups = Array.from({ length: 8 }, (_, slot) => ({ slot, assignments: 128 }));
    const work = {
      'attention and router of a prompt': attendAndRoute(
        model,
        { tokens, first: 0, position: CONTEXT - TOKENS, buffers: model.buffers },
        layer,
      ),
      'experts of a prompt': runExperts(model, layer, { groupCount: 8, maxAssignments: 128, groups }),
      'a token': decodeProgram(model).whole,
      'the output head': logitsOf(model, { residual: headResidual, normed: headNormed, logits, maxTokens: 32 }),
    };
    for (const [name, dispatches] of Object.entries(work)) {
      slow.dispatches.length = 0;
      slow.submissions.length = 0;
      submitPaced(model.ctx, dispatches);
      await new Promise((resolve) => setTimeout(resolve)); // learns from it
      // Alone, some dispatch would be too long, and the whole in any case.
      expect(`${name}: ${slow.submissions.reduce((sum, ms) => sum + ms, 0) > 500}`).toBe(`${name}: true`);
      expect(`${name}: ${longest(slow.dispatches) <= 110}`).toBe(`${name}: true`);
      expect(`${name}: ${longest(slow.submissions) <= 275}`).toBe(`${name}: true`);
    }
    gpuModel.destroy();
  });

  it('neither does the check of its memory, which reads all of it', async () => {
    const { slow, gpuModel } = await loadMixtral(RATE);
    const wholeMs = gpuModel.buffers.reduce((sum, { size }) => sum + size, 0) / 5e6;
    expect(wholeMs).toBeGreaterThan(300);
    expect(longest(slow.reads)).toBeLessThan(110);
    expect(slow.reads.reduce((sum, ms) => sum + ms, 0)).toBeGreaterThan(wholeMs);
    gpuModel.destroy();
  });

  it('would stand still for seconds without that', async () => {
    const { slow, gpuModel } = await loadMixtral(RATE);
    const { model } = gpuModel;
    slow.dispatches.length = 0;
    const groups = Array.from({ length: 8 }, (_, slot) => ({ slot, assignments: 128 }));
    const shape = { groupCount: 8, maxAssignments: 128, groups };
    submitPaced({ pipelines: model.ctx.pipelines }, runExperts(model, layerIndex(0), shape));
    expect(longest(slow.dispatches)).toBeGreaterThan(5000);
    gpuModel.destroy();
  });
});

it('on a GPU of 5 TFLOP/s a token and the experts of a prompt stay in one piece', async () => {
  const { slow, gpuModel } = await loadMixtral(2.5e9);
  const { model } = gpuModel;
  const { whole } = decodeProgram(model);
  const groups = Array.from({ length: 8 }, (_, slot) => ({ slot, assignments: 128 }));
  for (const dispatches of [whole, runExperts(model, layerIndex(0), { groupCount: 8, maxAssignments: 128, groups })]) {
    slow.dispatches.length = 0;
    slow.submissions.length = 0;
    submitPaced(model.ctx, dispatches);
    expect(slow.submissions).toHaveLength(1);
    expect(slow.dispatches).toHaveLength(dispatches.length);
  }
  gpuModel.destroy();
});
