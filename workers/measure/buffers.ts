/** GPU buffers that are destroyed together, when what they were for has been measured. */
import { type Slice, whole } from '../compute/gpu/dispatch.ts';
import type { Activations } from '../compute/gpu/ops/context.ts';
import { encodeStepState, type StepStateValues } from '../compute/gpu/step-state.ts';
import { INPUT_ALIGNMENT_WEIGHTS } from '../format/weight-layout.ts';
import { idle } from './timing.ts';

type Words = Float32Array | Uint32Array | Uint8Array;

/** Floats from one row to the next. */
const strideOf = (width: number): number => Math.ceil(width / INPUT_ALIGNMENT_WEIGHTS) * INPUT_ALIGNMENT_WEIGHTS;

/** Creates buffers, and destroys all of them at once. */
export class Buffers {
  readonly #buffers: GPUBuffer[] = [];

  constructor(readonly device: GPUDevice) {}

  /** Zeroed memory of at least `bytes` bytes. */
  allocate(bytes: number): Slice {
    const buffer = this.device.createBuffer({
      label: 'measure',
      size: Math.max(16, Math.ceil(bytes / 16) * 16),
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
    this.#buffers.push(buffer);
    return whole(buffer);
  }

  /** @param data its length is a multiple of 4 bytes */
  upload(data: Words): Slice {
    const slice = this.allocate(data.byteLength);
    this.device.queue.writeBuffer(slice.buffer, 0, data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
    return slice;
  }

  /** Zeroed activations `[rows, width]`. */
  rows(rows: number, width: number): Activations {
    return { slice: this.allocate(rows * strideOf(width) * 4), stride: strideOf(width) };
  }

  /** Activations `[data.length / width, width]`. */
  uploadRows(data: Float32Array, width: number): Activations {
    const stride = strideOf(width);
    const rows = data.length / width;
    const padded = new Float32Array(rows * stride);
    for (let row = 0; row < rows; row++) padded.set(data.subarray(row * width, (row + 1) * width), row * stride);
    return { slice: this.upload(padded), stride };
  }

  /** A step state. Fields that are not given are 0, except `tokenCount`, which is 1. */
  state(values: Partial<StepStateValues>): Slice {
    return this.upload(encodeStepState({ tokenCount: 1, ...values }));
  }

  /** Waits for the GPU, and copies a slice to main memory. */
  async read(slice: Slice): Promise<ArrayBuffer> {
    const { device } = this;
    const staging = device.createBuffer({ size: slice.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(slice.buffer, slice.offset, staging, 0, slice.size);
    device.queue.submit([encoder.finish()]);
    await idle(device);
    await staging.mapAsync(GPUMapMode.READ);
    const bytes = staging.getMappedRange().slice(0);
    staging.destroy();
    return bytes;
  }

  /** The first `rows` rows without their padding: `[rows, width]`. */
  async readRows({ slice, stride }: Activations, rows: number, width: number): Promise<Float32Array> {
    const all = new Float32Array(await this.read(slice));
    const dense = new Float32Array(rows * width);
    for (let row = 0; row < rows; row++) dense.set(all.subarray(row * stride, row * stride + width), row * width);
    return dense;
  }

  destroy(): void {
    for (const buffer of this.#buffers.splice(0)) buffer.destroy();
  }
}
