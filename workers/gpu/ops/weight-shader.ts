/** Which WGSL reads which weight type, and what of a matrix's layout a kernel must know. */
import dotFourRowsCode from '../../../shaders/lib/dot_four_rows.wgsl?raw';
import dotRowsCode from '../../../shaders/lib/dot_rows.wgsl?raw';
import input32Code from '../../../shaders/lib/input32.wgsl?raw';
import f16 from '../../../shaders/lib/weights_f16.wgsl?raw';
import f32 from '../../../shaders/lib/weights_f32.wgsl?raw';
import bf16 from '../../../shaders/lib/weights_bf16.wgsl?raw';
import q4_0 from '../../../shaders/lib/weights_q4_0.wgsl?raw';
import q4_k from '../../../shaders/lib/weights_q4_k.wgsl?raw';
import q6_k from '../../../shaders/lib/weights_q6_k.wgsl?raw';
import q8_0 from '../../../shaders/lib/weights_q8_0.wgsl?raw';
import workgroupSumCode from '../../../shaders/lib/workgroup_sum.wgsl?raw';
import weightsCode from '../../../shaders/lib/weights.wgsl?raw';
import { blocksPerRow, type TensorLayout, WEIGHT_TYPES, type WeightTypeName } from '../../../src/contract/weight-layout.ts';
import type { KernelSource } from '../pipelines.ts';
import type { MatrixVariant } from './context.ts';

const TYPE_CODE: Record<WeightTypeName, string> = {
  F32: f32, F16: f16, BF16: bf16, Q8_0: q8_0, Q4_0: q4_0, Q4_K: q4_k, Q6_K: q6_k,
};

/** Weights that `block32` of every type yields at once. */
const RUN = 32;

/**
 * A kernel that reads weights of one type.
 * @param parts the kernel's own code and the libs it needs
 */
export function weightKernel(name: string, type: WeightTypeName, ...parts: string[]): KernelSource {
  return { name: `${name} ${type}`, code: [weightsCode, TYPE_CODE[type], ...parts] };
}

/** Runs of 32 weights in a row, padding included. */
export function runsPerRow({ type, cols }: TensorLayout): number {
  const weightType = WEIGHT_TYPES[type];
  return blocksPerRow(weightType, cols) * (weightType.blockWeights / RUN);
}

/**
 * The starts of a matrix's planes as overrides named `<prefix>1`, `<prefix>2` ... (plane 0 with `base`), in vec4.
 * @param base bytes to add: where the matrix starts in the binding
 */
export function planeOverrides({ planeOffsets }: TensorLayout, prefix: string, base?: number): Record<string, number> {
  const first = base === undefined ? 1 : 0;
  const entries = [];
  for (let plane = first; plane < 4; plane++) {
    entries.push([`${prefix}${plane}`, ((base ?? 0) + (planeOffsets[plane] ?? 0)) / 16]);
  }
  return Object.fromEntries(entries);
}

/** The libs that compute dot products in each variant, to stand before the kernel. */
export const DOT_CODE: Record<MatrixVariant, readonly string[]> = {
  rows: [input32Code, dotRowsCode],
  workgroup: [input32Code, dotFourRowsCode, workgroupSumCode],
};
/** Rows that a thread (`rows`: ROW_TILE in dot_rows.wgsl) or a workgroup (`workgroup`) computes at once. */
const ROW_TILE: Record<MatrixVariant, number> = { rows: 16, workgroup: 4 };
/** Inputs for which an unpacked weight is used, where there is more than one. */
const TOKEN_TILE = 4;
/**
 * Threads of a workgroup. Few for `rows`: 256 rows are then four workgroups, and software adapters spread whole
 * workgroups over the processor's cores.
 */
const WORKGROUP: Record<MatrixVariant, number> = { rows: 4, workgroup: 64 };

/** How a matrix kernel cuts its work: workgroups for the rows, and for the inputs of each row. */
export function tiling(variant: MatrixVariant, rows: number, inputs: number) {
  const tile = inputs === 1 ? 1 : TOKEN_TILE;
  const workgroup = WORKGROUP[variant];
  const rowsPerGroup = ROW_TILE[variant] * (variant === 'rows' ? workgroup : 1);
  return { tile, workgroup, rowGroups: Math.ceil(rows / rowsPerGroup), tiles: Math.ceil(inputs / tile) };
}
