import stateCode from '../../../shaders/lib/state.wgsl?raw';
import rowsCode from '../../../shaders/matmul_rows.wgsl?raw';
import workgroupCode from '../../../shaders/matmul_workgroup.wgsl?raw';
import type { Dispatch } from '../dispatch.ts';
import type { Matrix, OpContext, Rows } from './context.ts';
import { DOT_CODE, planeOverrides, runsPerRow, tiling, weightKernel } from './weight-shader.ts';

/** WebGPU's default limit on workgroups in a dimension; more rows fold into z. */
const MAX_WORKGROUPS = 65535;

export interface MatmulArgs {
  matrix: Matrix;
  /** f32[maxTokens, matrix.cols] */
  input: Rows;
  /** f32[maxTokens, matrix.rows] */
  output: Rows;
  maxTokens: number;
  /** Adds to the output instead of overwriting it. */
  accumulate?: boolean;
  place: string;
}

/** `output[t, r] (+)= sum_c W[r, c] input[t, c]`, dequantized and added up in f32. */
export function matmul(ctx: OpContext, { matrix, input, output, maxTokens, accumulate, place }: MatmulArgs): Dispatch[] {
  const { layout, slice } = matrix;
  const { tile, workgroup, rowGroups, tiles } = tiling(ctx.variant, layout.rows, maxTokens);
  const code = ctx.variant === 'rows' ? rowsCode : workgroupCode;
  const kernel = weightKernel(`matmul ${ctx.variant}`, layout.type, stateCode, ...DOT_CODE[ctx.variant], code);
  const overrides = {
    ROWS: layout.rows,
    BLOCKS: runsPerRow(layout),
    ...planeOverrides(layout, 'P'),
    IN_STRIDE: input.stride / 4,
    OUT_STRIDE: output.stride,
    TILE: tile,
    ACCUMULATE: accumulate ? 1 : 0,
    WORKGROUP: workgroup,
  };
  const folds = Math.ceil(rowGroups / MAX_WORKGROUPS);
  const grid = [Math.ceil(rowGroups / folds), tiles, folds] as const;
  return [ctx.pipelines.dispatch(kernel, overrides, [ctx.state, slice, input.slice, output.slice], grid, place)];
}
