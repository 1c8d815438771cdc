/** Helpers for tests and benchmarks that run kernels on an adapter. All tests share one device. */

import { reportAdapter, requestAdapter } from './device.ts';
import { type Dispatch, encode, type Slice, whole } from './dispatch.ts';
import { type Gpu, openGpu } from './open-gpu.ts';
import type { Activations, MatrixVariant, OpContext } from './ops/context.ts';
import { encodeStepState, type StepStateValues } from './step-state.ts';
import { defaultKernels, type KernelChoice } from './variants/kernel-variants.ts';

const STORAGE = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
/** A value with which tests fill outputs, to see which elements a kernel wrote. */
export const UNTOUCHED = 12345.5;

const open = async (): Promise<Gpu> => {
  const adapter = await requestAdapter();
  return openGpu(adapter, reportAdapter(adapter));
};
let shared: Promise<Gpu> | undefined;

/** The GPU that tests of kernels and of engines share, with the kernels compiled so far. If it fails, another follows. */
export async function getTestGpu(): Promise<Gpu> {
  shared ??= open();
  if ((await shared).health.failed) shared = open();
  return shared;
}

export const getTestDevice = async (): Promise<GPUDevice> => (await getTestGpu()).device;

/** Creates a buffer with the bytes of the array, padded with zeros to a multiple of 16. */
export function upload(gpu: GPUDevice, data: Float32Array | Uint32Array | Uint8Array, label = 'test'): Slice {
  const buffer = gpu.createBuffer({ label, size: Math.max(16, Math.ceil(data.byteLength / 16) * 16), usage: STORAGE });
  const bytes = new Uint8Array(buffer.size);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  gpu.queue.writeBuffer(buffer, 0, bytes);
  return whole(buffer);
}

/** Creates a zeroed buffer of at least `bytes` bytes. */
export function allocate(gpu: GPUDevice, bytes: number, label = 'test'): Slice {
  return whole(gpu.createBuffer({ label, size: Math.max(16, Math.ceil(bytes / 16) * 16), usage: STORAGE }));
}

/** The stride of rows with `width` floats, in floats. */
export const rowStride = (width: number): number => Math.ceil(width / 256) * 256;

/** Uploads a dense `[tokens, width]` array. The padding of each row is zero. */
export function uploadActivations(gpu: GPUDevice, data: Float32Array, width: number, label = 'rows'): Activations {
  const stride = rowStride(width);
  const count = data.length / width;
  const padded = new Float32Array(count * stride);
  for (let row = 0; row < count; row++) padded.set(data.subarray(row * width, (row + 1) * width), row * stride);
  return { slice: upload(gpu, padded, label), stride };
}

/** Creates zeroed activations `[count, width]`. */
export const allocateActivations = (gpu: GPUDevice, count: number, width: number): Activations => ({
  slice: allocate(gpu, count * rowStride(width) * 4, 'rows'),
  stride: rowStride(width),
});

type ArrayConstructor<T> = { new (buffer: ArrayBuffer): T };

/** Reads a slice back as an array of `type`. */
export async function readBack<T>(gpu: GPUDevice, slice: Slice, type: ArrayConstructor<T>): Promise<T> {
  const staging = gpu.createBuffer({ size: slice.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = gpu.createCommandEncoder();
  encoder.copyBufferToBuffer(slice.buffer, slice.offset, staging, 0, slice.size);
  gpu.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const copy = staging.getMappedRange().slice(0);
  staging.destroy();
  return new type(copy);
}

/** Reads the first `count` rows back without their padding: `[count, width]`. */
export async function readActivations(
  gpu: GPUDevice,
  rows: Activations,
  count: number,
  width: number,
): Promise<Float32Array> {
  const all = await readBack(gpu, rows.slice, Float32Array);
  const dense = new Float32Array(count * width);
  for (let row = 0; row < count; row++) {
    dense.set(all.subarray(row * rows.stride, row * rows.stride + width), row * width);
  }
  return dense;
}

/** Values of the step state for a test. */
export type StateValues = Partial<StepStateValues>;

/** Creates the buffer of a step state. Fields that are not given are 0, except `tokenCount`, which is 1. */
export function makeState(gpu: GPUDevice, values: StateValues = {}): Slice {
  return upload(gpu, encodeStepState({ tokenCount: 1, ...values }), 'step state');
}

/**
 * Creates the context of an operation. All tests share its pipeline cache.
 * @param kernels variants that are forced; the others are the defaults of an adapter with that `variant`
 */
export async function makeContext(
  variant: MatrixVariant,
  state: StateValues = {},
  kernels: Partial<KernelChoice> = {},
): Promise<OpContext> {
  const { device, pipelines } = await getTestGpu();
  return {
    pipelines,
    variant,
    kernels: { ...defaultKernels(variant === 'rows'), ...kernels },
    state: makeState(device, state),
  };
}

/**
 * Runs the dispatches that `record` returns and waits for them. Throws the message of WebGPU if anything is invalid.
 */
export async function run(gpu: GPUDevice, record: () => readonly Dispatch[]): Promise<void> {
  gpu.pushErrorScope('out-of-memory');
  gpu.pushErrorScope('validation');
  let errors: Promise<(GPUError | null)[]>;
  try {
    const encoder = gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    encode(pass, record());
    pass.end();
    gpu.queue.submit([encoder.finish()]);
  } finally {
    // Also if it throws: a scope that stays would catch errors of other tests.
    errors = Promise.all([gpu.popErrorScope(), gpu.popErrorScope()]);
  }
  await gpu.queue.onSubmittedWorkDone();
  for (const error of await errors) if (error) throw new Error(error.message);
}

/** The milliseconds per call: the median of `rounds` submissions with `repeats` calls each. */
export async function measure(
  gpu: GPUDevice,
  dispatches: readonly Dispatch[],
  { rounds = 5, repeats = 20 } = {},
): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const encoder = gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (let i = 0; i < repeats; i++) encode(pass, dispatches);
    pass.end();
    const start = performance.now();
    gpu.queue.submit([encoder.finish()]);
    await gpu.queue.onSubmittedWorkDone();
    if (round > 0) times.push((performance.now() - start) / repeats); // the first round warms up
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
}

/**
 * The milliseconds per call in the fastest of `rounds` submissions, each with enough calls to take at least `minimum`
 * ms. A busy machine affects this figure least.
 */
export async function measureBest(
  gpu: GPUDevice,
  dispatches: readonly Dispatch[],
  { rounds = 7, minimum = 30 } = {},
): Promise<number> {
  const time = async (repeats: number): Promise<number> => {
    const encoder = gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (let i = 0; i < repeats; i++) encode(pass, dispatches);
    pass.end();
    const start = performance.now();
    gpu.queue.submit([encoder.finish()]);
    await gpu.queue.onSubmittedWorkDone();
    return performance.now() - start;
  };
  await time(1); // compiles
  const repeats = Math.ceil(Math.min(1000, Math.max(1, minimum / (await time(1)))));
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) best = Math.min(best, (await time(repeats)) / repeats);
  return best;
}

/** A random generator in [0, 1), the same on every machine: a 32-bit linear congruential state with xorshift output. */
export function seededRandom(seed: number): () => number {
  let state = (seed * 2654435761 + 1) >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    let x = state;
    x = Math.imul(x ^ (x >>> 16), 0x45d9f3b) >>> 0;
    x = Math.imul(x ^ (x >>> 16), 0x45d9f3b) >>> 0;
    return ((x ^ (x >>> 16)) >>> 0) / 2 ** 32;
  };
}

/** Normally distributed numbers with mean 0 and standard deviation `scale`. */
export function randomNormal(random: () => number, length: number, scale = 1): Float32Array {
  return Float32Array.from(
    { length },
    () => scale * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()),
  );
}
