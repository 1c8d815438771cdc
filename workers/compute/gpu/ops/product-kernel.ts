/** Builds the kernel of a matrix product for the chosen variant. */
import dotFourRows from '../../../../shaders/lib/dot_four_rows.wgsl?raw';
import dotFourRows4 from '../../../../shaders/lib/dot_four_rows_4.wgsl?raw';
import dotRows from '../../../../shaders/lib/dot_rows.wgsl?raw';
import fourRows from '../../../../shaders/lib/four_rows.wgsl?raw';
import input32 from '../../../../shaders/lib/input32.wgsl?raw';
import laneSumsSubgroup from '../../../../shaders/lib/lane_sums_subgroup.wgsl?raw';
import laneSumsTree from '../../../../shaders/lib/lane_sums_tree.wgsl?raw';
import stagedCode from '../../../../shaders/product_staged.wgsl?raw';
import tiledCode from '../../../../shaders/product_tiled.wgsl?raw';
import workgroupCode from '../../../../shaders/product_workgroup.wgsl?raw';
import workgroup4Code from '../../../../shaders/product_workgroup_4.wgsl?raw';
import type { WeightTypeName } from '../../../format/weight-layout.ts';
import type { KernelSource, Overrides } from '../pipelines.ts';
import type { KernelChoice } from '../variants/kernel-variants.ts';
import type { Staged, Tiled } from '../variants/matrix-variants.ts';
import { type ProductPlan, planProduct } from '../variants/product-plan.ts';
import { gridCopy, unitRuns, weightKernel } from './weight-shader.ts';

/** A matrix product: what is multiplied, and where the results go. */
export interface Product {
  /** For labels. */
  name: string;
  type: WeightTypeName;
  /** The number of rows of each matrix. */
  rows: number;
  /** Runs of 32 weights in a row. */
  runs: number;
  /** Matrices that are multiplied with the same inputs: 2 for gate and up. */
  matrices: 1 | 2;
  /** Tokens or assignments, in the largest group. */
  inputs: number;
  /** Decides which variant is used: see `ProductSize` in variants/product-plan.ts. */
  typicalInputs?: number;
  /** Declarations for the variant `rows`, and its kernel. */
  rowsLibs: readonly string[];
  rowsCode: string;
  /** Declarations for the other variants, which share their kernels with all products (shaders/lib/product_*.wgsl). */
  libs: readonly string[];
  /**
   * The values of `override` constants of the other variants that do not depend on the variant. In `rows` the shape is a
   * uniform.
   */
  overrides: Overrides;
  /** The values of further `override` constants of all variants. */
  flags?: Overrides;
}

export interface ProductKernel {
  kernel: KernelSource;
  overrides: Overrides;
  plan: ProductPlan;
}

/** Inputs that the kernel of the variant `workgroup` for several inputs takes. */
const WORKGROUP_INPUTS = 4;

/** The kernel of a product, the values of its overrides, and its division into workgroups. */
export function productKernel(kernels: KernelChoice, product: Product): ProductKernel {
  const plan = planProduct(kernels, product);
  const { kernel, overrides } = buildKernel(plan, product);
  const shape = plan.shape.shader === 'rows' ? {} : product.overrides;
  return { kernel, overrides: { ...shape, ...product.flags, ...overrides }, plan };
}

type Built = Pick<ProductKernel, 'kernel' | 'overrides'>;

function buildKernel(plan: ProductPlan, product: Product): Built {
  switch (plan.shape.shader) {
    case 'rows':
      return rowsKernel(plan, product);
    case 'workgroup':
      return workgroupKernel(plan, product);
    case 'staged':
      return stagedKernel(plan, plan.shape, product);
    case 'tiled':
      return tiledKernel(plan, plan.shape, product);
  }
}

const constant = (name: string, value: number): string => `const ${name} = ${value}u;`;

const kernelName = ({ variant, tileInputs }: ProductPlan, { name }: Product): string =>
  `${name} ${variant}${tileInputs === 1 ? '' : ` x${tileInputs}`}`;

function rowsKernel({ threads, tileInputs }: ProductPlan, { name, type, rowsLibs, rowsCode }: Product): Built {
  return {
    kernel: weightKernel(`${name} rows`, type, {}, ...rowsLibs, input32, dotRows, rowsCode),
    overrides: { TILE: tileInputs, WORKGROUP: threads },
  };
}

function workgroupKernel(plan: ProductPlan, product: Product): Built {
  const { threads, tileInputs } = plan;
  const one = tileInputs === 1;
  const code = one ? [dotFourRows, workgroupCode] : [dotFourRows4, workgroup4Code];
  const inputs = constant('INPUTS', one ? 1 : WORKGROUP_INPUTS);
  return {
    kernel: weightKernel(
      kernelName(plan, product),
      product.type,
      {},
      inputs,
      ...product.libs,
      input32,
      fourRows,
      ...code,
    ),
    overrides: {
      WORKGROUP: threads,
      ITERATIONS: Math.ceil(product.runs / threads),
      SUM_STEPS: Math.log2(threads),
    },
  };
}

function stagedKernel(plan: ProductPlan, shape: Staged, product: Product): Built {
  const { threads } = plan;
  const { lanes, rowGroups, threadRows, inputs, subgroups } = shape;
  const units = product.runs / unitRuns(product.type);
  const grid = gridCopy(product.type);
  const kernel = weightKernel(
    kernelName(plan, product),
    product.type,
    { units: true, gridCopy: true, ...(subgroups && { enable: 'subgroups' }) },
    constant('INPUTS', inputs),
    constant('THREAD_ROWS', threadRows),
    ...product.libs,
    subgroups ? laneSumsSubgroup : laneSumsTree,
    stagedCode,
  );
  return {
    kernel,
    overrides: {
      LANES: lanes,
      ROW_GROUPS: rowGroups,
      ITERATIONS: Math.ceil(units / lanes),
      LOADS: (8 * lanes * inputs) / threads,
      WORKGROUP: threads,
      UNITS: units,
      ...(grid && { GRID_LOADS: Math.ceil(grid.entries / threads) }),
      ...(subgroups ? { SUBGROUP_ROUNDS: threads / 4 } : treeOverrides(shape, threads)),
    },
  };
}

/** How the sums of the lanes are added without subgroups: shaders/lib/lane_sums_tree.wgsl. */
function treeOverrides({ lanes, rowGroups, threadRows, inputs }: Staged, threads: number): Overrides {
  const results = rowGroups * threadRows * inputs;
  const split = Math.min(lanes, 2 ** Math.floor(Math.log2(Math.max(1, threads / results))));
  return { SPLIT: split, SPLIT_SUMS: lanes / split, LANE_ROUNDS: Math.ceil((results * split) / threads) };
}

function tiledKernel(plan: ProductPlan, shape: Tiled, product: Product): Built {
  const kernel = weightKernel(
    kernelName(plan, product),
    product.type,
    {},
    constant('INPUTS', shape.inputs),
    constant('TILE_ROWS', shape.rows),
    constant('THREAD_ROWS', shape.threadRows),
    constant('THREAD_INPUTS', shape.threadInputs),
    ...product.libs,
    tiledCode,
  );
  return { kernel, overrides: {} };
}
