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
import { type Product, type ProductKernel, productKernel } from './product-kernel.ts';
import { planeOverrides, planeStarts, RUN, runsPerRow } from './weight-shader.ts';

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

/** A matrix in the slots of a bank. */
export interface SlotMatrix {
  layout: TensorLayout;
  /** Where it starts in each slot, in bytes. */
  base: number;
  /** Of the overrides that say where its planes start: see {@link planeOverrides}. */
  prefix: string;
}

/** What is multiplied. */
interface ExpertProduct extends Pick<Product, 'name' | 'rowsCode' | 'flags'> {
  /** Of the same type and shape. */
  matrices: readonly [SlotMatrix] | readonly [gate: SlotMatrix, up: SlotMatrix];
  /** The lib of the product, for the variants of GPUs. */
  lib: string;
  /** Bytes from one slot to the next. */
  slotStride: number;
  assignmentsPerInput: number;
  input: Activations;
  output: Activations;
}

export interface ExpertProductArgs extends ExpertWork {
  product: ExpertProduct;
  /** The bound parts of `weights`: all slots of the bank. */
  weights: Slice;
  /** Further bindings, from 6 on. */
  more?: readonly Slice[];
}

/** The kernel of a product, and the words in front of the start of the grid in its uniform. */
function expertKernel(ctx: OpContext, args: ExpertProductArgs): ProductKernel & { words: number[] } {
  const { bank, maxAssignments, typicalAssignments, product } = args;
  const { matrices, slotStride, assignmentsPerInput, input, output } = product;
  const [{ layout }] = matrices;
  const runs = runsPerRow(layout);
  const built = productKernel(ctx.kernels, {
    ...product,
    type: layout.type,
    rows: layout.rows,
    runs,
    matrices: matrices.length,
    inputs: maxAssignments,
    typicalInputs: typicalAssignments,
    rowsLibs: ROWS_LIBS,
    libs: [...GPU_LIBS, product.lib],
    overrides: {
      ROWS: layout.rows,
      BLOCKS: runs,
      SLOT_STRIDE: slotStride / 16,
      ...Object.assign({}, ...matrices.map(({ layout, prefix, base }) => planeOverrides(layout, prefix, base))),
      K: assignmentsPerInput,
      IN_STRIDE: input.stride / 4,
      OUT_STRIDE: output.stride,
    },
  });
  const slots = [bank.firstSlot, bank.slots]; // as overrides, they would need pipelines for each bank
  if (built.plan.shape.shader !== 'rows') return { ...built, words: slots };
  // shaders/lib/expert_assignments.wgsl
  const [planes, upPlanes = [0, 0, 0, 0]] = matrices.map(({ layout, base }) => planeStarts(layout, base));
  const shape = [layout.rows, runs, slotStride / 16, assignmentsPerInput, input.stride / 4, output.stride];
  return { ...built, words: [...slots, ...shape, ...planes, ...upPlanes] };
}

/** Records the kernel of a product of the experts in a bank. */
export function expertProduct(ctx: OpContext, args: ExpertProductArgs): Dispatch {
  const { groups, groupCount, maxAssignments, product, label } = args;
  const { kernel, overrides, plan, words } = expertKernel(ctx, args);
  const { tiles, tilesFirst } = plan;
  const call = dispatchParts(ctx, {
    kernel,
    overrides,
    before: [ctx.state, groups, args.weights, product.input.slice, product.output.slice],
    words,
    after: args.more ?? [],
    count: plan.rowGroups,
    grid: (rowGroups) => (tilesFirst ? [tiles, rowGroups, groupCount] : [rowGroups, tiles, groupCount]),
    label,
  });
  const { share = { groups: groupCount, assignments: groupCount * maxAssignments } } = args;
  const [{ layout }] = product.matrices;
  const weights = product.matrices.length * layout.rows * runsPerRow(layout) * RUN;
  const cost = productCost(weights, share.assignments, share.groups);
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
  const { layout, base, weights, input } = args;
  return expertProduct(ctx, {
    ...args,
    product: {
      name: 'expert matmul',
      matrices: [{ layout, base, prefix: 'P' }],
      rowsCode,
      lib: productCode,
      slotStride: args.slotStride,
      assignmentsPerInput: args.assignmentsPerInput,
      input,
      output: args.output,
      flags: { GATED: args.gated ? 1 : 0, WEIGHTED: args.routingWeights ? 1 : 0 },
    },
    weights,
    // The kernel always has this binding. Without routing weights it is not read, and any slice of f32 will do.
    more: [args.routingWeights ?? input.slice],
  });
}
