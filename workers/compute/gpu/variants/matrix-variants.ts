/** The shapes of the matrix kernels' variants: how each divides a product into workgroups and threads. */

import type { Bytes } from '../../../../src/contract/ids.ts';

/** A thread computes 16 rows for one input or four (shaders/*_rows.wgsl). */
interface RowPerThread {
  shader: 'rows';
}

/** 64 threads share the columns of four rows, for one input or four (shaders/product_workgroup*.wgsl). */
interface Workgroup {
  shader: 'workgroup';
}

/** Threads share the columns of some rows and the loads of the inputs (shaders/product_staged.wgsl). */
export interface Staged {
  shader: 'staged';
  /** Threads that share the columns of a row. */
  lanes: number;
  /** Sets of `lanes` threads per workgroup. */
  rowGroups: number;
  /** How many rows each thread sums; half of them in each of two matrices. */
  threadRows: number;
  /** Inputs that are computed together. */
  inputs: number;
  /** Adds the lanes' sums by subgroup operations; then `rowGroups` is 1. */
  subgroups?: boolean;
}

/** Tiles of rows x inputs, for which each weight is unpacked once (shaders/product_tiled.wgsl). */
export interface Tiled {
  shader: 'tiled';
  rows: number;
  inputs: number;
  threadRows: number;
  threadInputs: number;
}

export type MatrixShape = RowPerThread | Workgroup | Staged | Tiled;

const staged = (rowGroups: number, threadRows: number): Staged => ({
  shader: 'staged',
  lanes: 32,
  rowGroups,
  threadRows,
  inputs: 1,
});

const subgroup = (lanes: number, threadRows: number): Staged => ({
  ...staged(1, threadRows),
  lanes,
  subgroups: true,
});

const tiled = (rows: number, inputs: number, threadRows: number, threadInputs: number): Tiled => ({
  shader: 'tiled',
  rows,
  inputs,
  threadRows,
  threadInputs,
});

/** Products with one input. The names of staged variants have the threads of a workgroup and the rows of a thread. */
export const VECTOR_SHAPES = {
  rows: { shader: 'rows' },
  workgroup: { shader: 'workgroup' },
  'staged-32x8': staged(1, 8),
  'staged-64x4': staged(2, 4),
  'staged-256x2': staged(8, 2),
  'subgroup-32x4': subgroup(32, 4),
  'subgroup-64x4': subgroup(64, 4),
} as const satisfies Record<string, MatrixShape>;

/** Products with a few inputs: up to {@link FEW_INPUTS}. */
export const FEW_SHAPES = {
  rows: { shader: 'rows' },
  workgroup: { shader: 'workgroup' },
  staged: { shader: 'staged', lanes: 16, rowGroups: 4, threadRows: 4, inputs: 4 },
} as const satisfies Record<string, MatrixShape>;

/** Products with many inputs. The names of tiled variants have the rows and inputs of a tile. */
export const BATCH_SHAPES = {
  rows: { shader: 'rows' },
  workgroup: { shader: 'workgroup' },
  'tiled-32x32': tiled(32, 32, 4, 4),
  'tiled-64x32': tiled(64, 32, 4, 4),
  'tiled-64x64': tiled(64, 64, 8, 4),
} as const satisfies Record<string, MatrixShape>;

export type VectorVariant = keyof typeof VECTOR_SHAPES;
export type FewVariant = keyof typeof FEW_SHAPES;
export type BatchVariant = keyof typeof BATCH_SHAPES;

/** Up to so many inputs a tile would be mostly empty. */
export const FEW_INPUTS = 8;

/** The family whose variant computes products with so many inputs. */
export const matrixFamily = (inputs: number): 'vector' | 'few' | 'batch' =>
  inputs === 1 ? 'vector' : inputs <= FEW_INPUTS ? 'few' : 'batch';

/** Threads per workgroup. */
export function threadsOf(shape: MatrixShape): number {
  switch (shape.shader) {
    // Few, so that 256 matrix rows give four workgroups: software adapters distribute whole workgroups over the cores of
    // the processor.
    case 'rows':
      return 4;
    case 'workgroup':
      return 64;
    case 'staged':
      return shape.lanes * shape.rowGroups;
    case 'tiled':
      return (shape.rows / shape.threadRows) * (shape.inputs / shape.threadInputs);
  }
}

/** The largest grid that is copied to workgroup memory (workers/compute/gpu/ops/weight-shader.ts). */
export const MAX_GRID_COPY_BYTES: Bytes = 4096;

/** The most workgroup memory that a kernel of this shape declares, over all products and weight types. */
export function workgroupMemoryOf(shape: MatrixShape): Bytes {
  const threads = threadsOf(shape);
  switch (shape.shader) {
    case 'rows':
      return 0;
    case 'workgroup':
      return threads * 64;
    case 'staged': {
      const { lanes, rowGroups, threadRows, inputs, subgroups } = shape;
      const slab = inputs * 8 * (lanes + 1) * 16;
      const results = rowGroups * threadRows * inputs;
      const sums = results * lanes * 4 + (subgroups ? 0 : Math.max(threads, results) * 4);
      return slab + sums + MAX_GRID_COPY_BYTES;
    }
    case 'tiled':
      return shape.rows * 9 * 16 + shape.inputs * 5 * 16 + shape.inputs * 4;
  }
}
