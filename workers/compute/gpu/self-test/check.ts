/** What a check of the self-test is, and the buffers that it works with. */
import { compare, type Tolerance } from '../../../reference/tolerance.ts';
import { type Dispatch, type Slice, whole } from '../dispatch.ts';
import { strideOf } from '../model/buffers.ts';
import type { Activations, OpContext } from '../ops/context.ts';
import { encodeStepState, type StepStateValues } from '../step-state.ts';
import type { KernelFamily } from '../variants/kernel-variants.ts';

/** One operation with known inputs. */
export interface Check {
  /** What computes, for the error message. */
  name: string;
  /** The family whose variant computes it; absent if there is no other variant. */
  family?: KernelFamily;
  /** Records the operation. Called once to compile it and once to run it. */
  record(): Dispatch[];
  /** What is read back. */
  outputs: readonly Slice[];
  /** Whether the values that were read back are right. */
  isRight(outputs: readonly ArrayBuffer[]): boolean;
}

/** What the self-test has found to be wrong. */
export type WrongKernel = Pick<Check, 'name' | 'family'>;

/**
 * How far a value may be from float64, relative to the largest. Right kernels are within a tenth of it. Wrong ones are
 * off by far more: they read the wrong bits, or miss a barrier.
 */
const TOLERANCE: Tolerance = { relative: 2e-4, absolute: 1e-5 };

export const isNear = (actual: ArrayLike<number>, expected: ArrayLike<number>): boolean =>
  compare(actual, expected, TOLERANCE) === null;

/** Creates the buffers of checks, and destroys them all at once. */
export class CheckBuffers {
  readonly #buffers: GPUBuffer[] = [];

  constructor(readonly device: GPUDevice) {}

  /** A buffer of zeros. */
  allocate(bytes: number): Slice {
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const size = Math.max(16, Math.ceil(bytes / 16) * 16);
    const buffer = this.device.createBuffer({ label: 'self-test', size, usage });
    this.#buffers.push(buffer);
    return whole(buffer);
  }

  upload(data: Uint8Array | Uint32Array | Float32Array): Slice {
    const slice = this.allocate(data.byteLength);
    const bytes = new Uint8Array(slice.size);
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    this.device.queue.writeBuffer(slice.buffer, 0, bytes);
    return slice;
  }

  /** Activations with `width` values per row, padded as the kernels expect it. */
  activations(data: Float32Array, width: number): Activations {
    const { slice, stride } = this.emptyActivations(data.length / width, width);
    for (let row = 0; row * width < data.length; row++) {
      const values = data.slice(row * width, (row + 1) * width);
      this.device.queue.writeBuffer(slice.buffer, row * stride * 4, values);
    }
    return { slice, stride };
  }

  emptyActivations(count: number, width: number): Activations {
    const stride = strideOf(width);
    return { slice: this.allocate(count * stride * 4), stride };
  }

  /** A context with a step state of its own. */
  context(ctx: OpContext, state: Partial<StepStateValues>): OpContext {
    return { ...ctx, state: this.upload(encodeStepState({ tokenCount: 1, ...state })) };
  }

  destroy(): void {
    for (const buffer of this.#buffers) buffer.destroy();
  }
}

/** `count` columns from `first` on of activations that were read back: `[rows, count]`. */
export function columnsOf(
  bytes: ArrayBuffer,
  stride: number,
  rows: number,
  first: number,
  count: number,
): Float32Array {
  const all = new Float32Array(bytes);
  const columns = new Float32Array(rows * count);
  for (let row = 0; row < rows; row++) {
    const start = row * stride + first;
    columns.set(all.subarray(start, start + count), row * count);
  }
  return columns;
}

/** Numbers in [-1, 1), the same on every machine. */
export function pseudoRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const mixed = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) >>> 0;
    return mixed / 2 ** 31 - 1;
  };
}

export const randomFloats = (random: () => number, length: number): Float32Array =>
  Float32Array.from({ length }, () => random());
