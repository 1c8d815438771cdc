/** Maps each weight type to the WGSL that reads it, and a matrix layout to the overrides of its kernel. */
import dotFourRowsCode from '../../../../shaders/lib/dot_four_rows.wgsl?raw';
import dotRowsCode from '../../../../shaders/lib/dot_rows.wgsl?raw';
import gridOf4 from '../../../../shaders/lib/grid_of_4.wgsl?raw';
import gridOf8 from '../../../../shaders/lib/grid_of_8.wgsl?raw';
import input32Code from '../../../../shaders/lib/input32.wgsl?raw';
import iq4Values from '../../../../shaders/lib/iq4_values.wgsl?raw';
import affine from '../../../../shaders/lib/run_affine.wgsl?raw';
import affineHalves from '../../../../shaders/lib/run_affine_halves.wgsl?raw';
import plain from '../../../../shaders/lib/run_plain.wgsl?raw';
import scaled from '../../../../shaders/lib/run_scaled.wgsl?raw';
import scaledHalves from '../../../../shaders/lib/run_scaled_halves.wgsl?raw';
import scaleMin6 from '../../../../shaders/lib/scale_min_6.wgsl?raw';
import shiftedGrid from '../../../../shaders/lib/shifted_grid.wgsl?raw';
import signedGrid from '../../../../shaders/lib/signed_grid.wgsl?raw';
import weightsCode from '../../../../shaders/lib/weights.wgsl?raw';
import bf16 from '../../../../shaders/lib/weights_bf16.wgsl?raw';
import f16 from '../../../../shaders/lib/weights_f16.wgsl?raw';
import f32 from '../../../../shaders/lib/weights_f32.wgsl?raw';
import iq1_m from '../../../../shaders/lib/weights_iq1_m.wgsl?raw';
import iq1_s from '../../../../shaders/lib/weights_iq1_s.wgsl?raw';
import iq2_s from '../../../../shaders/lib/weights_iq2_s.wgsl?raw';
import iq2_xs from '../../../../shaders/lib/weights_iq2_xs.wgsl?raw';
import iq2_xxs from '../../../../shaders/lib/weights_iq2_xxs.wgsl?raw';
import iq3_s from '../../../../shaders/lib/weights_iq3_s.wgsl?raw';
import iq3_xxs from '../../../../shaders/lib/weights_iq3_xxs.wgsl?raw';
import iq4_nl from '../../../../shaders/lib/weights_iq4_nl.wgsl?raw';
import iq4_xs from '../../../../shaders/lib/weights_iq4_xs.wgsl?raw';
import mxfp4 from '../../../../shaders/lib/weights_mxfp4.wgsl?raw';
import q2_k from '../../../../shaders/lib/weights_q2_k.wgsl?raw';
import q3_k from '../../../../shaders/lib/weights_q3_k.wgsl?raw';
import q4_0 from '../../../../shaders/lib/weights_q4_0.wgsl?raw';
import q4_1 from '../../../../shaders/lib/weights_q4_1.wgsl?raw';
import q4_k from '../../../../shaders/lib/weights_q4_k.wgsl?raw';
import q5_0 from '../../../../shaders/lib/weights_q5_0.wgsl?raw';
import q5_1 from '../../../../shaders/lib/weights_q5_1.wgsl?raw';
import q5_k from '../../../../shaders/lib/weights_q5_k.wgsl?raw';
import q6_k from '../../../../shaders/lib/weights_q6_k.wgsl?raw';
import q8_0 from '../../../../shaders/lib/weights_q8_0.wgsl?raw';
import workgroupSumCode from '../../../../shaders/lib/workgroup_sum.wgsl?raw';
import { blocksPerRow, type TensorLayout, WEIGHT_TYPES, type WeightTypeName } from '../../../format/weight-layout.ts';
import type { KernelSource } from '../pipelines.ts';
import type { KernelChoice } from '../variants/kernel-variants.ts';
import { gridBytes } from './weight-tables.ts';

/** The lib files of each weight type: the one for its kind of run, shared ones, and its own. */
const TYPE_CODE: Record<WeightTypeName, readonly string[]> = {
  F32: [plain, f32],
  F16: [plain, f16],
  BF16: [plain, bf16],
  Q4_0: [scaled, q4_0],
  Q4_1: [affine, q4_1],
  Q5_0: [scaled, q5_0],
  Q5_1: [affine, q5_1],
  Q8_0: [scaled, q8_0],
  IQ4_NL: [scaled, iq4Values, iq4_nl],
  MXFP4: [scaled, mxfp4],
  Q2_K: [affineHalves, q2_k],
  Q3_K: [scaledHalves, q3_k],
  Q4_K: [affine, scaleMin6, q4_k],
  Q5_K: [affine, scaleMin6, q5_k],
  Q6_K: [scaledHalves, q6_k],
  IQ1_S: [scaled, gridOf8, shiftedGrid, iq1_s],
  IQ1_M: [scaledHalves, gridOf8, shiftedGrid, iq1_m],
  IQ2_XXS: [scaled, gridOf8, signedGrid, iq2_xxs],
  IQ2_XS: [scaledHalves, gridOf8, signedGrid, iq2_xs],
  IQ2_S: [scaledHalves, gridOf8, signedGrid, iq2_s],
  IQ3_XXS: [scaled, gridOf4, signedGrid, iq3_xxs],
  IQ3_S: [scaled, gridOf4, signedGrid, iq3_s],
  IQ4_XS: [scaled, iq4Values, iq4_xs],
};

/** The binding of the table in shaders/lib/grid_of_*.wgsl. */
const GRID_BINDING = 7;

/** Weights per run: the number that `run32` and `block32` of every type return at once. */
const RUN = 32;

/**
 * Assembles a kernel that reads weights of one type.
 * @param parts the libs that the kernel needs besides those of the weight type, then its own code
 */
export function weightKernel(name: string, type: WeightTypeName, ...parts: string[]): KernelSource {
  const grid = gridBytes(type);
  return {
    name: `${name} ${type}`,
    code: [weightsCode, ...TYPE_CODE[type], ...parts],
    ...(grid && { table: { binding: GRID_BINDING, bytes: grid } }),
  };
}

/** The number of runs of 32 weights per matrix row, including padding. */
export function runsPerRow({ type, cols }: TensorLayout): number {
  const weightType = WEIGHT_TYPES[type];
  return blocksPerRow(weightType, cols) * (weightType.blockWeights / RUN);
}

/**
 * Overrides for the starts of a matrix's planes, in vec4 (16 bytes). They are named `<prefix>1`, `<prefix>2` and
 * `<prefix>3`; with `base`, also `<prefix>0`.
 * @param base the byte offset of the matrix in the binding; default: 0
 */
export function planeOverrides({ planeOffsets }: TensorLayout, prefix: string, base?: number): Record<string, number> {
  const first = base === undefined ? 1 : 0;
  const entries = [];
  for (let plane = first; plane < 4; plane++) {
    entries.push([`${prefix}${plane}`, ((base ?? 0) + (planeOffsets[plane] ?? 0)) / 16]);
  }
  return Object.fromEntries(entries);
}

/** The variants of matrix kernels. */
export type MatrixVariant = KernelChoice['vector' | 'batch'];

/** The libs that compute dot products, for each variant. Their code precedes the kernel's. */
export const DOT_CODE: Record<MatrixVariant, readonly string[]> = {
  rows: [input32Code, dotRowsCode],
  workgroup: [input32Code, dotFourRowsCode, workgroupSumCode],
};
/** Matrix rows that a thread (`rows`: ROW_TILE in dot_rows.wgsl) or a workgroup (`workgroup`) computes at once. */
const ROW_TILE: Record<MatrixVariant, number> = { rows: 16, workgroup: 4 };
/** Inputs (tokens or assignments) that share an unpacked weight, if there is more than one. */
const TOKEN_TILE = 4;
/**
 * Threads per workgroup. `rows` has few, so that 256 matrix rows give four workgroups: software adapters distribute
 * whole workgroups over the cores of the processor.
 */
const WORKGROUP: Record<MatrixVariant, number> = { rows: 4, workgroup: 64 };

/**
 * How a matrix kernel divides its work: `rowGroups` workgroups for the matrix rows, times `tiles` of `tile` inputs
 * each.
 * @param inputs tokens or assignments
 */
export function tiling(kernels: KernelChoice, rows: number, inputs: number) {
  const variant = inputs === 1 ? kernels.vector : kernels.batch;
  const tile = inputs === 1 ? 1 : TOKEN_TILE;
  const workgroup = WORKGROUP[variant];
  const rowsPerGroup = ROW_TILE[variant] * (variant === 'rows' ? workgroup : 1);
  return { variant, tile, workgroup, rowGroups: Math.ceil(rows / rowsPerGroup), tiles: Math.ceil(inputs / tile) };
}
