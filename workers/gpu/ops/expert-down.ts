import rowsCode from '../../../shaders/expert_down_rows.wgsl?raw';
import workgroupCode from '../../../shaders/expert_down_workgroup.wgsl?raw';
import dotRowsCode from '../../../shaders/lib/dot_rows.wgsl?raw';
import assignmentsCode from '../../../shaders/lib/expert_assignments.wgsl?raw';
import groupsCode from '../../../shaders/lib/groups.wgsl?raw';
import stateCode from '../../../shaders/lib/state.wgsl?raw';
import workgroupSumCode from '../../../shaders/lib/workgroup_sum.wgsl?raw';
import type { Dispatch, Slice } from '../dispatch.ts';
import type { ExpertBank, OpContext, Rows } from './context.ts';
import { TOKEN_TILE, WORKGROUP } from './matmul.ts';
import { planeOverrides, runsPerRow, weightKernel } from './weight-shader.ts';

export interface ExpertDownArgs {
  bank: ExpertBank;
  groups: Slice;
  groupCount: number;
  /** Assignments of the largest group. */
  maxAssignments: number;
  /** f32[tokens * expertsPerToken, feedForwardLength] */
  activations: Rows;
  /** f32[tokens * expertsPerToken, embeddingLength], row p for assignment p */
  output: Rows;
  place: string;
}

/** `output[p] = down activation[p]` for the assignments of every group whose slot lies in this bank. */
export function expertDown(ctx: OpContext, args: ExpertDownArgs): Dispatch[] {
  const { bank, groups, groupCount, maxAssignments, activations, output, place } = args;
  const layout = bank.downLayout;
  const tile = maxAssignments === 1 ? 1 : TOKEN_TILE;
  const rows = ctx.variant === 'rows';
  const libs = [stateCode, groupsCode, assignmentsCode, dotRowsCode];
  const kernel = rows
    ? weightKernel('expert down rows', layout.type, ...libs, rowsCode)
    : weightKernel('expert down workgroup', layout.type, ...libs, workgroupSumCode, workgroupCode);
  const overrides = {
    ROWS: layout.rows,
    BLOCKS: runsPerRow(layout),
    SLOT_STRIDE: bank.downStride / 16,
    ...planeOverrides(layout, 'P'),
    FIRST_SLOT: bank.firstSlot,
    SLOTS: bank.slots,
    IN_STRIDE: activations.stride / 4,
    OUT_STRIDE: output.stride,
    TILE: tile,
    WORKGROUP,
  };
  const rowsPerGroup = rows ? WORKGROUP : 4 / tile;
  return [
    ctx.pipelines.dispatch(
      kernel,
      overrides,
      [ctx.state, groups, bank.down, activations.slice, output.slice],
      [Math.ceil(layout.rows / rowsPerGroup), Math.ceil(maxAssignments / tile), groupCount],
      place,
    ),
  ];
}
