import rowsCode from '../../../../shaders/expert_gate_up_rows.wgsl?raw';
import workgroupCode from '../../../../shaders/expert_gate_up_workgroup.wgsl?raw';
import type { Dispatch, Slice } from '../dispatch.ts';
import type { Activations, ExpertBank, OpContext } from './context.ts';
import { expertLibs, expertMatmul } from './expert-matmul.ts';
import { planeOverrides, runsPerRow, tiling, weightKernel } from './weight-shader.ts';

export interface ExpertGateUpArgs {
  bank: ExpertBank;
  /** The work list: see MAX_GROUPS in context.ts. */
  groups: Slice;
  groupCount: number;
  /** Assignments of the largest group. */
  maxAssignments: number;
  expertsPerToken: number;
  /** f32[tokens, embeddingLength] */
  input: Activations;
  /** f32[tokens * expertsPerToken, feedForwardLength], row p for assignment p */
  activations: Activations;
  label: string;
}

/**
 * `activations[p] = silu(gate x) * (up x)` with `x = input[p / expertsPerToken]`, for each assignment p of every group
 * whose slot is in this bank.
 */
export function expertGateUp(ctx: OpContext, args: ExpertGateUpArgs): Dispatch[] {
  const { gate, up } = args.bank;
  return gate.type === up.type ? [gateAndUp(ctx, args)] : gateThenUp(ctx, args);
}

function gateAndUp(ctx: OpContext, args: ExpertGateUpArgs): Dispatch {
  const { bank, groups, groupCount, maxAssignments, expertsPerToken, input, activations, label } = args;
  const { gate, up } = bank;
  const { variant, tile, workgroup, rowGroups, tiles } = tiling(ctx.kernels, gate.rows, maxAssignments);
  const code = variant === 'rows' ? rowsCode : workgroupCode;
  const kernel = weightKernel(`expert gate+up ${variant}`, gate.type, ...expertLibs(variant), code);
  const overrides = {
    ROWS: gate.rows,
    BLOCKS: runsPerRow(gate),
    SLOT_STRIDE: bank.gateUpStride / 16,
    ...planeOverrides(gate, 'G', gate.offset),
    ...planeOverrides(up, 'U', up.offset),
    FIRST_SLOT: bank.firstSlot,
    SLOTS: bank.slots,
    K: expertsPerToken,
    IN_STRIDE: input.stride / 4,
    OUT_STRIDE: activations.stride,
    TILE: tile,
    WORKGROUP: workgroup,
  };
  const slices = [ctx.state, groups, bank.gateUp, input.slice, activations.slice];
  return ctx.pipelines.dispatch(kernel, overrides, slices, [rowGroups, tiles, groupCount], label);
}

/** A kernel reads one weight type, so matrices of different types need two dispatches: gate, then up. */
function gateThenUp(ctx: OpContext, args: ExpertGateUpArgs): Dispatch[] {
  const { bank, expertsPerToken, activations } = args;
  return [bank.gate, bank.up].map((layout) =>
    expertMatmul(ctx, {
      ...args,
      layout,
      base: layout.offset,
      weights: bank.gateUp,
      slotStride: bank.gateUpStride,
      output: activations,
      assignmentsPerInput: expertsPerToken,
      gated: layout === bank.up,
    }),
  );
}
