/** Multiplies one matrix of the experts with their assignments: down, and gate and up if their weight types differ. */
import rowsCode from '../../../../shaders/expert_matmul_rows.wgsl?raw';
import assignmentsCode from '../../../../shaders/lib/expert_assignments.wgsl?raw';
import jobCode from '../../../../shaders/lib/expert_job.wgsl?raw';
import groupsCode from '../../../../shaders/lib/groups.wgsl?raw';
import productCode from '../../../../shaders/lib/product_expert.wgsl?raw';
import type { TensorLayout } from '../../../format/weight-layout.ts';
import type { Dispatch, Slice } from '../dispatch.ts';
import { productCost } from '../slicing.ts';
import { STEP_STATE_WGSL } from '../step-state.ts';
import type { Activations, ExpertBank, OpContext } from './context.ts';
import { dispatchParts } from './dispatch-parts.ts';
import { type Product, productKernel } from './product-kernel.ts';
import { planeOverrides, RUN, runsPerRow } from './weight-shader.ts';

/** The libs of an expert kernel of the variant `rows`. */
const ROWS_LIBS = [STEP_STATE_WGSL, groupsCode, assignmentsCode];
/** The libs of an expert kernel of the other variants, besides the one of its product. */
const GPU_LIBS = [STEP_STATE_WGSL, groupsCode, jobCode];

/**
 * The part of a work list whose slots are in one bank. Fractions where the GPU decides, so that only a mean is known.
 */
export interface BankShare {
  groups: number;
  /** Assignments of these groups together. */
  assignments: number;
}

/** The work of an expert kernel. */
export interface ExpertWork {
  bank: ExpertBank;
  /** The work list: see MAX_GROUPS in context.ts. */
  groups: Slice;
  groupCount: number;
  /** Assignments of the largest group. */
  maxAssignments: number;
  /** Assignments that a group of this batch has on average; it decides which variant is used. Default: the largest. */
  typicalAssignments?: number;
  /**
   * What of the work list is for this bank. It decides the cost only. Default: all groups, each of the largest size.
   */
  share?: BankShare;
  label: string;
}

export interface ExpertProductArgs extends ExpertWork {
  product: Omit<Product, 'inputs' | 'rowsLibs' | 'libs'> & { libs: readonly string[] };
  /** The bound parts of `weights`: all slots of the bank. */
  weights: Slice;
  input: Slice;
  output: Slice;
  /** Further bindings, from 6 on. */
  more?: readonly Slice[];
}

/** Records the kernel of a product of the experts in a bank. */
export function expertProduct(ctx: OpContext, args: ExpertProductArgs): Dispatch {
  const { bank, groups, groupCount, maxAssignments, typicalAssignments, product, label } = args;
  const { kernel, overrides, plan } = productKernel(ctx.kernels, {
    ...product,
    inputs: maxAssignments,
    typicalInputs: typicalAssignments,
    rowsLibs: ROWS_LIBS,
    libs: [...GPU_LIBS, ...product.libs],
  });
  const { tiles, tilesFirst } = plan;
  const call = dispatchParts(ctx, {
    kernel,
    overrides,
    before: [ctx.state, groups, args.weights, args.input, args.output],
    words: [bank.firstSlot, bank.slots], // as overrides, they would need pipelines for each bank
    after: args.more ?? [],
    count: plan.rowGroups,
    grid: (rowGroups) => (tilesFirst ? [tiles, rowGroups, groupCount] : [rowGroups, tiles, groupCount]),
    label,
  });
  const { share = { groups: groupCount, assignments: groupCount * maxAssignments } } = args;
  const cost = productCost(product.matrices * product.rows * product.runs * RUN, share.assignments, share.groups);
  return { ...call, cost };
}

export interface ExpertMatmulArgs extends ExpertWork {
  /** The matrix. It starts `base` bytes after the start of each slot of `weights`. */
  layout: TensorLayout;
  base: number;
  weights: Slice;
  /** Bytes from one slot to the next. */
  slotStride: number;
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
}

/** `output[p] = W input[p / assignmentsPerInput]` for each assignment p of every group whose slot is in this bank. */
export function expertMatmul(ctx: OpContext, args: ExpertMatmulArgs): Dispatch {
  const { layout, base, weights, slotStride, input, output } = args;
  return expertProduct(ctx, {
    ...args,
    product: {
      name: 'expert matmul',
      type: layout.type,
      rows: layout.rows,
      runs: runsPerRow(layout),
      matrices: 1,
      rowsCode,
      libs: [productCode],
      overrides: {
        ROWS: layout.rows,
        BLOCKS: runsPerRow(layout),
        SLOT_STRIDE: slotStride / 16,
        ...planeOverrides(layout, 'P', base),
        K: args.assignmentsPerInput,
        IN_STRIDE: input.stride / 4,
        OUT_STRIDE: output.stride,
        GATED: args.gated ? 1 : 0,
        WEIGHTED: args.routingWeights ? 1 : 0,
      },
    },
    weights,
    input: input.slice,
    output: output.slice,
    // The kernel always has this binding. Without routing weights it is not read, and any slice of f32 will do.
    more: [args.routingWeights ?? input.slice],
  });
}
