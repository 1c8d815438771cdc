/** The context that every operation needs to record its dispatches, and the types of its operands. */
import type { TensorLayout } from '../../../format/weight-layout.ts';
import type { Slice } from '../dispatch.ts';
import type { Pacing } from '../pacing.ts';
import type { PipelineCache } from '../pipelines.ts';
import type { KernelChoice } from '../variants/kernel-variants.ts';

/**
 * How kernels without variants of their own divide their work: norms, attention, sampler.
 * - `rows`: a thread computes whole rows, without barriers. Fast on software adapters, which run threads as loops.
 * - `workgroup`: a workgroup shares the columns of a row and reduces. Fast on GPUs, which run threads in parallel.
 */
export type MatrixVariant = 'rows' | 'workgroup';

/** Passed to every operation. */
export interface OpContext {
  pipelines: PipelineCache;
  variant: MatrixVariant;
  /** The variants of the other kernels. */
  kernels: KernelChoice;
  /** The slice of the `StepState`: binding 0 of every kernel. */
  state: Slice;
  /** Cuts what is submitted; absent where nothing has to be cut, as on software adapters. */
  pacing?: Pacing | undefined;
}

/** A matrix f32[maxTokens, stride] on the GPU. The padding of each row beyond its width is zero and stays zero. */
export interface Activations {
  slice: Slice;
  /** Floats from one row to the next: a multiple of INPUT_ALIGNMENT_WEIGHTS. */
  stride: number;
}

/** A weight matrix [rows, cols] on the GPU. `slice` covers exactly the bytes of the tensor. */
export interface Matrix {
  layout: TensorLayout;
  slice: Slice;
}

/**
 * A matrix that is split by rows into parts that can be bound, in order. All but the last have a multiple of 64 rows.
 */
export type SplitMatrix = readonly Matrix[];

/**
 * Some slots of one layer, in two buffers. Slot s of the layer has index `s - firstSlot` in them. A layer has several
 * banks if its slots exceed the size limit of a binding.
 */
export interface ExpertBank {
  firstSlot: number;
  slots: number;
  /** The gate and up matrices of all slots. `gate.offset` and `up.offset` are relative to the start of a slot. */
  gateUp: Slice;
  /** Bytes from one slot to the next in `gateUp`. */
  gateUpStride: number;
  /** The down matrices of all slots. Each starts at the start of its slot: `downLayout.offset` is NOT added. */
  down: Slice;
  /** Bytes from one slot to the next in `down`. */
  downStride: number;
  gate: TensorLayout;
  up: TensorLayout;
  downLayout: TensorLayout;
}

/**
 * The number of groups in the work list of the expert kernels, a buffer of u32 (shaders/lib/groups.wgsl):
 * `groups[g] = (slot, first, count, 0)` for g < MAX_GROUPS, then `assignments[]`.
 *
 * In group g, the expert in `slot` is applied to the assignments first .. first + count - 1. An assignment is the
 * number p = token * expertsPerToken + k, with input row p / expertsPerToken and output row p. If a whole token is
 * submitted at once, the router writes the list, with one group and one assignment per k. Otherwise the CPU writes it.
 */
export const MAX_GROUPS = 256;
/** Bytes of `groups` in the work list; `assignments` follow. */
export const GROUPS_HEADER_BYTES = MAX_GROUPS * 16;
/** The entry in the slot table of an expert that is not resident. */
export const NO_SLOT = 0xffffffff;
