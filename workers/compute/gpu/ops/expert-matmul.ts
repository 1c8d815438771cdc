/** Multiplies one matrix of the experts with their assignments: down, and gate and up if their weight types differ. */
import matmulRowsCode from '../../../../shaders/expert_matmul_rows.wgsl?raw';
import matmulWorkgroupCode from '../../../../shaders/expert_matmul_workgroup.wgsl?raw';
import assignmentsCode from '../../../../shaders/lib/expert_assignments.wgsl?raw';
import groupsCode from '../../../../shaders/lib/groups.wgsl?raw';
import type { TensorLayout } from '../../../format/weight-layout.ts';
import type { Dispatch, Slice } from '../dispatch.ts';
import { STEP_STATE_WGSL } from '../step-state.ts';
import type { Activations, ExpertBank, OpContext } from './context.ts';
import { DOT_CODE, type MatrixVariant, planeOverrides, runsPerRow, tiling, weightKernel } from './weight-shader.ts';

/** The libs of an expert kernel, which follow those of its weight type. */
export const expertLibs = (variant: MatrixVariant): readonly string[] => [
  STEP_STATE_WGSL,
  groupsCode,
  assignmentsCode,
  ...DOT_CODE[variant],
];

export interface ExpertMatmulArgs {
  bank: ExpertBank;
  /** The matrix. It starts `base` bytes after the start of each slot of `weights`. */
  layout: TensorLayout;
  base: number;
  weights: Slice;
  /** Bytes from one slot to the next. */
  slotStride: number;
  /** The work list: see MAX_GROUPS in context.ts. */
  groups: Slice;
  groupCount: number;
  /** Assignments of the largest group. */
  maxAssignments: number;
  /** f32[assignments / assignmentsPerInput, layout.cols] */
  input: Activations;
  /** Assignments that share an input row. */
  assignmentsPerInput: number;
  /** f32[assignments, layout.rows], row p for assignment p */
  output: Activations;
  /** `output = silu(output) * product` instead of `output = product`. */
  gated: boolean;
  /** f32[assignments]. If given, `output[p] = routingWeights[p] * product`. Not together with `gated`. */
  routingWeights?: Slice;
  label: string;
}

/** `output[p] = W input[p / assignmentsPerInput]` for each assignment p of every group whose slot is in this bank. */
export function expertMatmul(ctx: OpContext, args: ExpertMatmulArgs): Dispatch {
  const { bank, layout, base, weights, slotStride, groups, groupCount, maxAssignments, input, output, label } = args;
  const { variant, tile, workgroup, rowGroups, tiles } = tiling(ctx.kernels, layout.rows, maxAssignments);
  const code = variant === 'rows' ? matmulRowsCode : matmulWorkgroupCode;
  const kernel = weightKernel(`expert matmul ${variant}`, layout.type, ...expertLibs(variant), code);
  const overrides = {
    ROWS: layout.rows,
    BLOCKS: runsPerRow(layout),
    SLOT_STRIDE: slotStride / 16,
    ...planeOverrides(layout, 'P', base),
    FIRST_SLOT: bank.firstSlot,
    SLOTS: bank.slots,
    K: args.assignmentsPerInput,
    IN_STRIDE: input.stride / 4,
    OUT_STRIDE: output.stride,
    TILE: tile,
    GATED: args.gated ? 1 : 0,
    WEIGHTED: args.routingWeights ? 1 : 0,
    WORKGROUP: workgroup,
  };
  // The kernel always has this binding. Without routing weights it is not read, and any slice of f32 will do.
  const slices = [ctx.state, groups, weights, input.slice, output.slice, args.routingWeights ?? input.slice];
  return ctx.pipelines.dispatch(kernel, overrides, slices, [rowGroups, tiles, groupCount], label);
}
