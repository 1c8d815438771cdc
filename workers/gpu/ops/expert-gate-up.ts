import rowsCode from '../../../shaders/expert_gate_up_rows.wgsl?raw';
import workgroupCode from '../../../shaders/expert_gate_up_workgroup.wgsl?raw';
import dotRowsCode from '../../../shaders/lib/dot_rows.wgsl?raw';
import assignmentsCode from '../../../shaders/lib/expert_assignments.wgsl?raw';
import groupsCode from '../../../shaders/lib/groups.wgsl?raw';
import stateCode from '../../../shaders/lib/state.wgsl?raw';
import workgroupSumCode from '../../../shaders/lib/workgroup_sum.wgsl?raw';
import type { Dispatch, Slice } from '../dispatch.ts';
import type { ExpertBank, OpContext, Rows } from './context.ts';
import { TOKEN_TILE, WORKGROUP } from './matmul.ts';
import { planeOverrides, runsPerRow, weightKernel } from './weight-shader.ts';

export interface ExpertGateUpArgs {
  bank: ExpertBank;
  groups: Slice;
  groupCount: number;
  /** Assignments of the largest group. */
  maxAssignments: number;
  expertsPerToken: number;
  /** f32[tokens, embeddingLength] */
  input: Rows;
  /** f32[tokens * expertsPerToken, feedForwardLength], row p for assignment p */
  activations: Rows;
  place: string;
}

/** `activation[p] = silu(gate x) * (up x)` for the assignments of every group whose slot lies in this bank. */
export function expertGateUp(ctx: OpContext, args: ExpertGateUpArgs): Dispatch[] {
  const { bank, groups, groupCount, maxAssignments, expertsPerToken, input, activations, place } = args;
  const { gate, up } = bank;
  if (gate.type !== up.type) throw new RangeError(`${place}: gate is ${gate.type}, up is ${up.type}; they must be alike`);
  const tile = maxAssignments === 1 ? 1 : TOKEN_TILE;
  const rows = ctx.variant === 'rows';
  const libs = [stateCode, groupsCode, assignmentsCode, dotRowsCode];
  const kernel = rows
    ? weightKernel('expert gate+up rows', gate.type, ...libs, rowsCode)
    : weightKernel('expert gate+up workgroup', gate.type, ...libs, workgroupSumCode, workgroupCode);
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
    WORKGROUP,
  };
  const rowsPerGroup = rows ? WORKGROUP : tile === 1 ? 2 : 1;
  return [
    ctx.pipelines.dispatch(
      kernel,
      overrides,
      [ctx.state, groups, bank.gateUp, input.slice, activations.slice],
      [Math.ceil(gate.rows / rowsPerGroup), Math.ceil(maxAssignments / tile), groupCount],
      place,
    ),
  ];
}
