/** What every step works with: the device, the sizes, the figures so far, and how to time and compare kernels. */
import type { MeasureOptions, MeasureRow } from '../../src/contract/measure-api.ts';
import type { Dispatch } from '../compute/gpu/dispatch.ts';
import type { Gpu } from '../compute/gpu/open-gpu.ts';
import type { OpContext } from '../compute/gpu/ops/context.ts';
import {
  type KernelChoice,
  type KernelFamily,
  kernelAdapter,
  variantsFor,
  withVariant,
} from '../compute/gpu/variants/kernel-variants.ts';
import { Buffers } from './buffers.ts';
import { type MeasureShapes, shapesOf } from './shapes.ts';
import { timeDispatches } from './timing.ts';

/** Records the dispatches of one operation. */
export type RecordDispatches = (ctx: OpContext) => Dispatch[];

/** The variants that give an operation other dispatches than the default ones, and those; the default first. */
export interface VariantDispatches {
  /** `vector=staged`; undefined for the default kernels. */
  variant: string | undefined;
  ctx: OpContext;
  dispatches: Dispatch[];
}

export interface MeasurementInputs {
  gpu: Gpu;
  options: MeasureOptions;
  /** Whether no further figure should be begun. */
  isOver: () => boolean;
}

/** Multiply-adds per millisecond that are assumed of a GPU before its f32 rate is known: 0.02 TFLOP/s. */
const FIRST_RATE = 1e7;
/** The share of the f32 rate that a kernel is assumed to reach before it was timed: a bad one. */
const FIRST_SHARE = 1 / 20;

/** Two lists of dispatches are the same work if pipelines and grids are equal; buffers may differ. */
const isSameWork = (a: readonly Dispatch[], b: readonly Dispatch[]): boolean =>
  a.length === b.length &&
  a.every(({ pipeline, workgroups }, i) => pipeline === b[i].pipeline && `${workgroups}` === `${b[i].workgroups}`);

/** The state of a measurement that all steps share. */
export class Measurement {
  readonly gpu: Gpu;
  readonly options: MeasureOptions;
  readonly shapes: MeasureShapes;
  /** Whether all kernels agreed with float64; undefined before they were compared. If not, no later figure counts. */
  correct: boolean | undefined;
  /** Bytes per second that the read kernel reached; undefined before the ceilings. */
  bytesPerSecond: number | undefined;
  /** f32 operations per second, a multiply-add being two; undefined before the ceilings. */
  flops: number | undefined;
  /** Milliseconds of an empty submission; 0 before the ceilings. */
  submitMs = 0;
  /** Receives the figures of the current step. */
  onRow: (row: MeasureRow) => void = () => {};
  readonly #isOver: () => boolean;

  constructor({ gpu, options, isOver }: MeasurementInputs) {
    this.gpu = gpu;
    this.options = options;
    this.shapes = shapesOf(options);
    this.#isOver = isOver;
  }

  get device(): GPUDevice {
    return this.gpu.device;
  }

  /** Whether the deadline has passed or the user has stopped: a step then returns what it has. */
  get isOver(): boolean {
    return this.#isOver();
  }

  /** Reports a figure. */
  add(row: MeasureRow): void {
    this.onRow(row);
  }

  /** Runs work with buffers that are destroyed after it. */
  async withBuffers<T>(work: (buffers: Buffers) => Promise<T>): Promise<T> {
    const buffers = new Buffers(this.device);
    try {
      return await work(buffers);
    } finally {
      buffers.destroy();
    }
  }

  /** The context of an operation with the adapter's kernels. */
  context(state: OpContext['state'], kernels = this.gpu.kernels): OpContext {
    const { pipelines, adapter } = this.gpu;
    return { pipelines, variant: adapter.software ? 'rows' : 'workgroup', kernels, state };
  }

  /**
   * Records an operation with the default kernels and with each variant that this adapter can run and that makes a
   * difference for it, up to `variantsPerFamily`. A variant that is added to `KERNEL_VARIANTS` is measured without a change here.
   */
  variantsOf(state: OpContext['state'], record: RecordDispatches): VariantDispatches[] {
    const { kernels, adapter } = this.gpu;
    const standard = this.context(state);
    const all: VariantDispatches[] = [{ variant: undefined, ctx: standard, dispatches: record(standard) }];
    const counts = new Map<KernelFamily, number>();
    for (const variant of variantsFor(kernelAdapter(this.device, adapter.software))) {
      const count = counts.get(variant.family) ?? 0;
      if (count >= this.shapes.variantsPerFamily) continue;
      const ctx = this.context(state, withVariant(kernels, variant));
      const dispatches = record(ctx);
      if (all.some((other) => isSameWork(other.dispatches, dispatches))) continue;
      all.push({ variant: `${variant.family}=${variant.name}`, ctx, dispatches });
      counts.set(variant.family, count + 1);
    }
    return all;
  }

  /** The milliseconds of one call. @param copies equal calls on different data */
  time(copies: readonly (readonly Dispatch[])[]): Promise<number> {
    const { sampleMs, samples } = this.shapes;
    const { clockStepMs, pacing } = this.gpu;
    return timeDispatches(this.device, copies, {
      sampleMs,
      samples,
      submitMs: this.submitMs,
      clockStepMs,
      ...(pacing && { rate: this.flops === undefined ? FIRST_RATE : (this.flops / 2000) * FIRST_SHARE }),
    });
  }

  /** How many copies of something with `bytes` bytes no cache can hold. At most 64, at least 1. */
  copiesOf(bytes: number): number {
    return Math.min(64, Math.max(1, Math.ceil(this.shapes.rotationBytes / bytes)));
  }
}

/** `value` as a share of a ceiling, or nothing if that is not known. */
export const shareOf = (value: number, ceiling: number | undefined): Pick<MeasureRow, 'share'> =>
  ceiling === undefined ? {} : { share: value / ceiling };

/** `vector=workgroup few=workgroup ...` */
export const kernelsText = (kernels: KernelChoice): string =>
  Object.entries(kernels)
    .map((entry) => entry.join('='))
    .join(' ');

/** The row's variant, or nothing for the default kernels. */
export const variantField = (variant: string | undefined): Pick<MeasureRow, 'variant'> =>
  variant === undefined ? {} : { variant };
