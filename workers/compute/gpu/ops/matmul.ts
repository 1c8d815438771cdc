import shapeCode from '../../../../shaders/lib/matmul_shape.wgsl?raw';
import productCode from '../../../../shaders/lib/product_matmul.wgsl?raw';
import rowsCode from '../../../../shaders/matmul_rows.wgsl?raw';
import type { Dispatch } from '../dispatch.ts';
import { productCost } from '../slicing.ts';
import { STEP_STATE_WGSL } from '../step-state.ts';
import type { Activations, Matrix, OpContext, SplitMatrix } from './context.ts';
import { dispatchParts } from './dispatch-parts.ts';
import { productKernel } from './product-kernel.ts';
import { planeStarts, runsPerRow } from './weight-shader.ts';

export interface MatmulArgs {
  matrix: Matrix;
  /** f32[maxTokens, matrix.cols] */
  input: Activations;
  /** f32[maxTokens, matrix.rows] */
  output: Activations;
  maxTokens: number;
  /** Adds to the output instead of overwriting it. */
  accumulate?: boolean;
  label: string;
}

/**
 * `output[t, r] = sum_c W[r, c] input[t, c]`, or `+=` with `accumulate`. The weights are dequantized to f32 and the
 * sums are computed in f32.
 */
export function matmul(
  ctx: OpContext,
  { matrix, input, output, maxTokens, accumulate, label }: MatmulArgs,
): Dispatch[] {
  const { layout, slice } = matrix;
  const { kernel, overrides, plan } = productKernel(ctx.kernels, {
    name: 'matmul',
    type: layout.type,
    rows: layout.rows,
    runs: runsPerRow(layout),
    matrices: 1,
    inputs: maxTokens,
    rowsLibs: [STEP_STATE_WGSL, shapeCode],
    rowsCode,
    libs: [STEP_STATE_WGSL, shapeCode, productCode],
    overrides: { BLOCKS: runsPerRow(layout) },
  });
  const { tiles, tilesFirst } = plan;
  const call = dispatchParts(ctx, {
    kernel,
    overrides,
    before: [ctx.state, slice, input.slice, output.slice],
    // shaders/lib/matmul_shape.wgsl
    words: [
      ...[layout.rows, input.stride / 4, output.stride, accumulate ? 1 : 0],
      ...planeStarts(layout).slice(1),
      runsPerRow(layout),
    ],
    count: plan.rowGroups,
    grid: (rowGroups, folds) => (tilesFirst ? [tiles, rowGroups, folds] : [rowGroups, tiles, folds]),
    foldable: true,
    label,
  });
  return [{ ...call, cost: productCost(layout.rows * layout.cols, maxTokens) }];
}

/**
 * `output[t, r] = sum_c W[r, c] input[t, c]` for a matrix W that is split by rows: each part writes its own columns of
 * the output.
 */
export function matmulParts(
  ctx: OpContext,
  { parts, ...args }: Omit<MatmulArgs, 'matrix'> & { parts: SplitMatrix },
): Dispatch[] {
  const { slice, stride } = args.output;
  let firstRow = 0;
  return parts.flatMap((matrix, part) => {
    const offset = firstRow * 4;
    firstRow += matrix.layout.rows;
    const output = { slice: { ...slice, offset: slice.offset + offset, size: slice.size - offset }, stride };
    return matmul(ctx, { ...args, matrix, output, label: parts.length === 1 ? args.label : `${args.label}.${part}` });
  });
}
