/** Counts the dispatches of a token: each costs a GPU some microseconds of latency. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { layerIndex } from '../../../../src/contract/ids.ts';
import type { ModelConfig } from '../../../../src/contract/import-api.ts';
import { layoutTensor, WEIGHT_TYPES, type WeightTypeName } from '../../../format/weight-layout.ts';
import { type Slice, whole } from '../dispatch.ts';
import { FakeDevice, stubWebGpuConstants } from '../fake-device-testing.ts';
import type { ExpertBank, Matrix } from '../ops/context.ts';
import { defaultKernels, type KernelChoice } from '../variants/kernel-variants.ts';
import { createStepBuffers } from './buffers.ts';
import { decodeProgram } from './decode-program.ts';
import { KvCache } from './kv-cache.ts';
import type { Model } from './model.ts';
import { PrefillBuffers } from './prefill-buffers.ts';

beforeEach(stubWebGpuConstants);
afterEach(() => vi.unstubAllGlobals());

const LAYERS = 32;
/** Mixtral 8x7B. */
const CONFIG = {
  embeddingLength: 4096,
  feedForwardLength: 14336,
  layerCount: LAYERS,
  headCount: 32,
  kvHeadCount: 8,
  headDim: 128,
  ropeDimensionCount: 128,
  rmsNormEpsilon: 1e-5,
  expertCount: 8,
  expertsPerToken: 2,
  vocabularySize: 32000,
  contextLength: 32768,
} as ModelConfig;

/** Mixtral 8x7B on a fake device: all experts are resident, in one bank per layer. */
function mixtral(kernels: KernelChoice, variant: Model['ctx']['variant']): Model {
  const { device, pipelines } = new FakeDevice(1e12).gpu;
  const slice = (size: number): Slice => whole(device.createBuffer({ size, usage: 0 }));
  const layoutOf = (type: WeightTypeName, rows: number, cols: number) =>
    layoutTensor('w', WEIGHT_TYPES[type], rows, cols, 0);
  const matrix = (type: WeightTypeName, rows: number, cols = 4096): Matrix => {
    const layout = layoutOf(type, rows, cols);
    return { layout, slice: slice(layout.bytes) };
  };
  const buffers = createStepBuffers(device, CONFIG, { maxTokens: 512, context: 4096, kernels });
  const norm = slice(4096 * 4);
  const layer = {
    attnNorm: norm,
    attnQ: matrix('Q4_K', 4096),
    attnK: matrix('Q4_K', 1024),
    attnV: matrix('Q4_K', 1024),
    attnOutput: matrix('Q4_K', 4096),
    ffnNorm: norm,
    router: matrix('F32', 8),
  };
  const gate = layoutOf('Q4_K', 14336, 4096);
  const downLayout = layoutOf('Q4_K', 4096, 14336);
  const bank: ExpertBank = {
    firstSlot: 0,
    slots: 8,
    gateUp: slice(8 * 2 * gate.bytes),
    gateUpStride: 2 * gate.bytes,
    down: slice(8 * downLayout.bytes),
    downStride: downLayout.bytes,
    gate,
    up: { ...gate, offset: gate.bytes },
    downLayout,
  };
  return {
    config: CONFIG,
    ctx: { pipelines, variant, kernels, state: buffers.state.slice },
    weights: {
      embedding: [matrix('Q4_K', 32000)],
      layers: Array.from({ length: LAYERS }, () => layer),
      outputNorm: norm,
      output: [matrix('Q6_K', 32000)],
      buffers: [],
      bytes: 0,
      destroy: () => {},
    },
    kvCache: new KvCache(device, CONFIG, 4096),
    ropeTable: slice(4096 * 128 * 4),
    buffers,
    prefillBuffers: new PrefillBuffers(device, CONFIG),
    slotTable: slice(LAYERS * 8 * 4),
    banks: () => [bank],
  };
}

describe('the dispatches of a token of Mixtral 8x7B', () => {
  it.each([
    // Embedding, first norm, output norm, output matrix, sampler; and per layer: q, k, v, rope, attention 2, output,
    // router, gate and up, down, combine with the next norm.
    ['of GPUs', defaultKernels(false), 'workgroup', 5 + LAYERS * 11],
    // The sampler surveys, gathers, picks, and samples in one workgroup if that was not enough.
    [
      'of GPUs, sampler in many workgroups',
      { ...defaultKernels(false), sampler: 'blocks' },
      'workgroup',
      8 + LAYERS * 11,
    ],
    // Per layer: norm, q, k, v, rope, attention 3, output, norm, router matrix, selection, gate and up, down, combine.
    ['of software adapters', defaultKernels(true), 'rows', 4 + LAYERS * 15],
  ] as const)('with the kernels %s', (_name, kernels, variant, expected) => {
    expect(decodeProgram(mixtral(kernels, variant)).whole).toHaveLength(expected);
  });

  it('are the same ones however a token is cut', () => {
    const {
      whole: all,
      start,
      experts,
      untilNextSelection,
      untilEnd,
    } = decodeProgram(mixtral(defaultKernels(false), 'workgroup'));
    const labels = all.map(({ label }) => label);
    const isPrediction = (label: string): boolean => label.includes('prediction');
    const cut = [...start(1)];
    for (let l = 0; l + 1 < LAYERS; l++) cut.push(...experts(layerIndex(l)), ...untilNextSelection(layerIndex(l), 1));
    const last = layerIndex(LAYERS - 1);
    cut.push(...experts(last), ...untilEnd(last));
    expect(cut.map(({ label }) => label).filter((label) => !isPrediction(label))).toEqual(labels);
  });
});
