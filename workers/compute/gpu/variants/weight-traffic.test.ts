import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { layoutTensor, type TensorLayout, WEIGHT_TYPES } from '../../../format/weight-layout.ts';
import type { Dispatch } from '../dispatch.ts';
import { FakeDevice, stubWebGpuConstants } from '../fake-device-testing.ts';
import type { ExpertBank, OpContext } from '../ops/context.ts';
import { expertDown } from '../ops/expert-down.ts';
import { expertGateUp } from '../ops/expert-gate-up.ts';
import { matmul } from '../ops/matmul.ts';
import { defaultKernels, type KernelChoice } from './kernel-variants.ts';
import { layerTraffic } from './weight-traffic.ts';

beforeEach(stubWebGpuConstants);
afterEach(() => vi.unstubAllGlobals());

const matrix = (rows: number, cols: number) => layoutTensor('w', WEIGHT_TYPES.Q4_K, rows, cols, 0);

/** A layer of Mixtral 8x7B in Q4_K. */
const MIXTRAL = {
  config: { expertCount: 8, expertsPerToken: 2 },
  layers: 32,
  matrices: {
    dense: [matrix(4096, 4096), matrix(1024, 4096), matrix(1024, 4096), matrix(4096, 4096)],
    gate: matrix(14336, 4096),
    up: matrix(14336, 4096),
    down: matrix(4096, 14336),
  },
};

/** Bytes that a prompt of Mixtral 8x7B reads, in GB. */
function gigabytes(kernels: KernelChoice, tokens: number) {
  const { memoryBytes, loadedBytes } = layerTraffic(kernels, MIXTRAL.config, MIXTRAL.matrices, tokens);
  return { memory: (memoryBytes * MIXTRAL.layers) / 1e9, loaded: (loadedBytes * MIXTRAL.layers) / 1e9 };
}

const DENSE = (2 * 4096 + 2 * 1024) * 4096 * 0.5625 * 32;
const EXPERTS = 3 * 4096 * 14336 * 0.5625 * 8 * 32;

it('reads the weights of 512 tokens from memory once, where rows first would read them 32 times', () => {
  const rows = gigabytes(defaultKernels(true), 512);
  // 128 assignments per expert are 32 tiles of four, 512 tokens are 128.
  expect(rows.memory).toBeCloseTo((EXPERTS * 32 + DENSE * 128) / 1e9, 6);
  expect((EXPERTS * 32) / 1e9).toBeCloseTo(811.75, 1);
  const workgroup = gigabytes(defaultKernels(false), 512);
  expect(workgroup.memory).toBeCloseTo((EXPERTS + DENSE) / 1e9, 6);
  expect(workgroup.memory).toBeLessThan(28);
  expect(workgroup.loaded).toBeCloseTo(rows.loaded, 6);
});

it('loads each weight once per tile of 64 tokens', () => {
  const tiled = gigabytes({ ...defaultKernels(false), batch: 'tiled-64x64' }, 512);
  expect(tiled.memory).toBeCloseTo((EXPERTS + DENSE) / 1e9, 6);
  expect(tiled.loaded).toBeCloseTo((EXPERTS * 2 + DENSE * 8) / 1e9, 6);
});

it('reads two experts for one token', () => {
  const { memory, loaded } = gigabytes(defaultKernels(false), 1);
  expect(memory).toBeCloseTo((EXPERTS / 4 + DENSE) / 1e9, 6);
  expect(loaded).toBe(memory);
});

/** Records the products of a layer of Mixtral 8x7B for a prompt of 512 tokens, 128 of which select each expert. */
function record(kernels: KernelChoice): { layout: TensorLayout; dispatch: Dispatch }[] {
  const slice = { buffer: {} as GPUBuffer, offset: 0, size: 2 ** 30 };
  const rows = { slice, stride: 14336 };
  const variant = kernels.batch === 'rows' ? 'rows' : 'workgroup';
  const ctx: OpContext = { pipelines: new FakeDevice(1e9).gpu.pipelines, variant, kernels, state: slice };
  const { dense, gate, up, down } = MIXTRAL.matrices;
  const strides = { gateUpStride: gate.bytes + up.bytes, downStride: down.bytes };
  const bank: ExpertBank = {
    firstSlot: 0,
    slots: 8,
    gateUp: slice,
    down: slice,
    ...strides,
    gate,
    up,
    downLayout: down,
  };
  const shared = { bank, groups: slice, groupCount: 8, maxAssignments: 128, activations: rows, label: '' };
  const both = { ...gate, bytes: gate.bytes + up.bytes };
  const [gateUp] = expertGateUp(ctx, { ...shared, expertsPerToken: 2, input: rows });
  const [downs] = expertDown(ctx, { ...shared, routingWeights: slice, output: rows });
  return [
    ...dense.map((layout) => ({
      layout,
      dispatch: matmul(ctx, { matrix: { layout, slice }, input: rows, output: rows, maxTokens: 512, label: '' })[0],
    })),
    { layout: both, dispatch: gateUp },
    { layout: down, dispatch: downs },
  ];
}

it.each([
  // How many rows of a dense matrix a workgroup computes, and for how many inputs.
  ['rows', 64, 4],
  ['workgroup', 4, 4],
  ['tiled-32x32', 32, 32],
  ['tiled-64x32', 64, 32],
  ['tiled-64x64', 64, 64],
] as const)('is what the grids of %s say', (batch, groupRows, tileInputs) => {
  const kernels = { ...defaultKernels(batch === 'rows'), batch };
  const tilesFirst = batch !== 'rows';
  let [memory, loaded] = [0, 0];
  for (const { layout, dispatch } of record(kernels)) {
    const [x, y, z] = dispatch.workgroups;
    const [tiles, rowGroups] = tilesFirst ? [x, y] : [y, x];
    const isExpert = z === 8;
    expect(tiles).toBe((isExpert ? 128 : 512) / tileInputs);
    // A workgroup of both gate and up has half of the rows of each, except where every thread computes rows of both.
    const matrices = isExpert && layout.rows === 14336 && batch.startsWith('tiled') ? 2 : 1;
    expect(rowGroups).toBe((layout.rows * matrices) / groupRows);
    loaded += layout.bytes * z * tiles;
    memory += layout.bytes * z * (tilesFirst ? 1 : tiles);
  }
  const expected = gigabytes(kernels, 512);
  expect((memory * MIXTRAL.layers) / 1e9).toBeCloseTo(expected.memory, 6);
  expect((loaded * MIXTRAL.layers) / 1e9).toBeCloseTo(expected.loaded, 6);
});
