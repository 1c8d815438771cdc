/** What every operation needs to record its dispatches, and the shapes of what they work on. */
import type { TensorLayout } from '../../../format/weight-layout.ts';
import type { Slice } from '../dispatch.ts';
import type { PipelineCache } from '../pipelines.ts';

/**
 * `rows`: a thread computes whole rows; no barriers. Fast where threads are loops (software adapters).
 * `workgroup`: a workgroup shares a row's columns and reduces; fast where threads run abreast (GPUs).
 */
export type MatrixVariant = 'rows' | 'workgroup';

export interface OpContext {
  pipelines: PipelineCache;
  variant: MatrixVariant;
  /** The slice of the {@link ../step-state.ts StepState}: binding 0 of every kernel. */
  state: Slice;
}

/** f32 rows `[maxTokens, stride]`; the tail of each row beyond its width is zero and stays so. */
export interface Activations {
  slice: Slice;
  /** Floats from one row to the next; a multiple of INPUT_ALIGNMENT_WEIGHTS. */
  stride: number;
}

/** A weight matrix on the GPU: `slice` is exactly the tensor's bytes. */
export interface Matrix {
  layout: TensorLayout;
  slice: Slice;
}

/** A matrix cut by rows into parts that can be bound, in order; all but the last have a multiple of 64 rows. */
export type SplitMatrix = readonly Matrix[];

/**
 * Some slots of one layer, in two buffers: slot s of the layer lies at index s - firstSlot.
 * A layer has several banks where its slots exceed what one binding may hold.
 */
export interface ExpertBank {
  firstSlot: number;
  slots: number;
  /** Gate and up of all slots; `gate.offset` and `up.offset` are relative to the slot's start. */
  gateUp: Slice;
  gateUpStride: number;
  /** Down of all slots; the layout's own `offset` is NOT added: it starts at its slot's start. */
  down: Slice;
  downStride: number;
  gate: TensorLayout;
  up: TensorLayout;
  downLayout: TensorLayout;
}

/**
 * Work for the expert kernels, in one buffer of u32 (see shaders/lib/groups.wgsl):
 * header `groups[g] = (slot, first, count, 0)` for g < MAX_GROUPS, then `assignments[]`.
 * Group g: expert in `slot` works on assignments first .. first+count-1; an assignment is
 * p = token * expertsPerToken + k: input row p / expertsPerToken, output row p.
 * The router writes it (one group for each k, one assignment each) where a token is submitted whole; else the CPU.
 */
export const MAX_GROUPS = 256;
export const GROUPS_HEADER_BYTES = MAX_GROUPS * 16;
/** Slot of an expert that is not resident. */
export const NO_SLOT = 0xffffffff;
