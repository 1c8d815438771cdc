/** How a matrix product is divided into workgroups by the chosen variants. Pure. */
import type { KernelChoice } from './kernel-variants.ts';
import {
  BATCH_SHAPES,
  FEW_SHAPES,
  type MatrixShape,
  matrixFamily,
  threadsOf,
  VECTOR_SHAPES,
} from './matrix-variants.ts';

export interface ProductSize {
  /** The number of rows of a matrix. */
  rows: number;
  /** Matrices that one kernel multiplies with the same inputs: 2 for gate and up. Default: 1 */
  matrices?: 1 | 2;
  /** Tokens or assignments, in the largest group. */
  inputs: number;
  /**
   * Decides which variant is used; default: `inputs`. It must not depend on which experts are resident: otherwise the
   * sums, which variants add in different orders, would too.
   */
  typicalInputs?: number;
}

export interface ProductPlan {
  /** The name of the variant. */
  variant: string;
  shape: MatrixShape;
  /** Threads per workgroup. */
  threads: number;
  /** Inputs per workgroup. */
  tileInputs: number;
  /** Workgroups for the rows. */
  rowGroups: number;
  /** Workgroups for the inputs. */
  tiles: number;
  /**
   * Whether the tiles of the same rows are neighbors in the grid. Then they run at about the same time, and a GPU reads
   * the weights from memory once for all of them.
   */
  tilesFirst: boolean;
}

/** Matrix rows per thread (`rows`: ROW_TILE in shaders/lib/dot_rows.wgsl) or per workgroup (`workgroup`). */
const ROW_TILE = { rows: 16, workgroup: 4 };
/** Inputs that share an unpacked weight in these variants, if there is more than one. */
const INPUT_TILE = 4;

export function planProduct(
  kernels: KernelChoice,
  { rows, matrices = 1, inputs, typicalInputs = inputs }: ProductSize,
): ProductPlan {
  const [variant, shape] = chooseShape(kernels, typicalInputs);
  const threads = threadsOf(shape);
  // In the variant `rows` one and four inputs add the same sums, so the tile may depend on the group.
  const single = shape.shader === 'rows' ? inputs === 1 : typicalInputs === 1;
  const tileInputs = 'inputs' in shape ? shape.inputs : single ? 1 : INPUT_TILE;
  return {
    variant,
    shape,
    threads,
    tileInputs,
    rowGroups: Math.ceil(rows / rowsPerGroup(shape, matrices)),
    tiles: Math.ceil(inputs / tileInputs),
    tilesFirst: shape.shader !== 'rows',
  };
}

function chooseShape({ vector, few, batch }: KernelChoice, inputs: number): [string, MatrixShape] {
  switch (matrixFamily(inputs)) {
    case 'vector':
      return [vector, VECTOR_SHAPES[vector]];
    case 'few':
      return [few, FEW_SHAPES[few]];
    case 'batch':
      return [batch, BATCH_SHAPES[batch]];
  }
}

/** How many rows of each matrix a workgroup computes. */
function rowsPerGroup(shape: MatrixShape, matrices: number): number {
  switch (shape.shader) {
    case 'rows':
      return ROW_TILE.rows * threadsOf(shape);
    case 'workgroup':
      return ROW_TILE.workgroup;
    case 'staged':
      return (shape.rowGroups * shape.threadRows) / matrices;
    case 'tiled':
      return shape.rows / matrices;
  }
}
