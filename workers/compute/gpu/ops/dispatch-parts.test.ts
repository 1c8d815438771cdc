/** Matrices with more groups of rows than a dimension of a grid has workgroups. On a GPU that computes nothing. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { layoutTensor, WEIGHT_TYPES } from '../../../format/weight-layout.ts';
import { whole } from '../dispatch.ts';
import { FakeDevice, stubWebGpuConstants } from '../fake-device-testing.ts';
import { MAX_WORKGROUPS } from '../slicing.ts';
import type { ExpertBank, OpContext } from './context.ts';
import { expertMatmul } from './expert-matmul.ts';
import { matmul } from './matmul.ts';

beforeEach(stubWebGpuConstants);
afterEach(() => vi.unstubAllGlobals());

/** In the groups of four of the standard variant for GPUs, one group more than a dimension has workgroups. */
const ROWS = 4 * (MAX_WORKGROUPS + 1);

function setUp() {
  const device = new FakeDevice(1e9);
  const { gpu } = device;
  const slice = whole(device.createBuffer({ size: 256, usage: 0 }) as GPUBuffer);
  const ctx: OpContext = { pipelines: gpu.pipelines, variant: gpu.variant, kernels: gpu.kernels, state: slice };
  const rows = { slice, stride: 256 };
  return { ctx, slice, rows };
}

const layoutOf = (rows: number) => layoutTensor('matrix', WEIGHT_TYPES.Q8_0, rows, 256, 0);

it('folds the rows of a matrix, so that none is left out', () => {
  const { ctx, slice, rows } = setUp();
  const [{ workgroups }] = matmul(ctx, {
    matrix: { layout: layoutOf(ROWS), slice },
    input: rows,
    output: rows,
    maxTokens: 1,
    label: 'large',
  });
  expect(workgroups.reduce((product, count) => product * count)).toBeGreaterThanOrEqual(ROWS / 4);
  expect(Math.max(...workgroups)).toBeLessThanOrEqual(MAX_WORKGROUPS);
});

it('refuses an expert with too many rows, whose grid cannot be folded', () => {
  const { ctx, slice, rows } = setUp();
  const expert = (count: number) => {
    const layout = layoutOf(count);
    return expertMatmul(ctx, {
      bank: { firstSlot: 0, slots: 2 } as ExpertBank,
      groups: slice,
      groupCount: 2,
      maxAssignments: 1,
      layout,
      base: 0,
      weights: slice,
      slotStride: layout.bytes,
      input: rows,
      assignmentsPerInput: 2,
      output: rows,
      gated: false,
      label: 'large',
    });
  };
  expect(expert(ROWS - 4).workgroups).toEqual([1, MAX_WORKGROUPS, 2]);
  expect(() => expert(ROWS)).toThrow(expect.objectContaining({ code: 'gpu-limit' }));
});
