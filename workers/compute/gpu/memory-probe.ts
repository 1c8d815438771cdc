/** The memory of a device as a measurement of it needs it: allocated piece by piece, and read by a kernel. */
import readCode from '../../../shaders/read_all.wgsl?raw';
import type { Bytes } from '../../../src/contract/ids.ts';
import { type ProbedMemory, rateOf } from '../../experts/measured-memory.ts';
import { type Dispatch, encodePass, type Slice, whole } from './dispatch.ts';
import { isOutOfMemory, withAllocations } from './errors.ts';
import { withFirefoxPoll } from './firefox-poll.ts';
import type { Gpu } from './open-gpu.ts';
import { costOf, cutByCost } from './slicing.ts';

const STEP_BYTES: Bytes = 256 * 1024 * 1024;
const WORKGROUP = 256;
/** Bytes that a workgroup of read_all.wgsl reads. */
const GROUP_BYTES = WORKGROUP * 16 * 16;
/** The kernel cannot bind less. */
const LEAST_BYTES = 16;
/** Bytes of the first piece that are read for its rate: more than a cache holds, and 0.25 s for nine times at 10 GB/s. */
export const MOST_FIRST_BYTES: Bytes = 256 * 2 ** 20;
/**
 * Milliseconds that one submission takes at the rate that is known. The first read of memory may take four times as long,
 * and a GPU shows nothing on the screen meanwhile (pacing.ts).
 */
const SUBMISSION_MS = 60;
/** Bytes of a submission while no rate is known. */
const FIRST_SUBMISSION_BYTES: Bytes = 64 * 2 ** 20;

/** Buffers of a device that are read together, by a kernel that keeps nothing. A slow GPU gets that in pieces. */
export class GpuMemoryPieces implements ProbedMemory {
  readonly #gpu: Pick<Gpu, 'device' | 'pipelines' | 'health'>;
  readonly #buffers: GPUBuffer[];
  /** Of {@link #buffers}, those that {@link allocate} has added. */
  readonly #own: GPUBuffer[] = [];
  readonly #output: GPUBuffer;
  /** The highest rate so far, in bytes per millisecond. */
  #rate = 0;
  readonly clockStepMs: number;

  /** @param buffers pieces that exist already and stay with their owner */
  constructor(gpu: Pick<Gpu, 'device' | 'pipelines' | 'health' | 'clockStepMs'>, buffers: readonly GPUBuffer[] = []) {
    this.#gpu = gpu;
    this.#buffers = [...buffers];
    this.clockStepMs = gpu.clockStepMs;
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
    this.#output = gpu.device.createBuffer({ label: 'probe output', size: 16, usage });
  }

  now(): number {
    return performance.now();
  }

  async allocate(bytes: Bytes): Promise<boolean> {
    const buffer = await tryAllocate(this.#gpu.device, Math.max(LEAST_BYTES, bytes));
    if (!buffer) return false;
    this.#own.push(buffer);
    this.#buffers.push(buffer);
    return true;
  }

  /** Reads some bytes of a buffer of its own, which waits for the kernel to be compiled. */
  async prepare(): Promise<void> {
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
    const buffer = this.#gpu.device.createBuffer({ label: 'probe warm-up', size: LEAST_BYTES, usage });
    await submitProbe(this.#gpu, encodePass(this.#gpu.device, this.#readsOf(buffer, 0, buffer.size), 'probe'));
    buffer.destroy();
  }

  /**
   * Reads at most 256 MiB of the first piece, in one submission unless that would take a slow GPU too long.
   * @throws MixtabError `webgpu-device-lost` or `internal` if the device failed otherwise
   */
  async readFirst(times: number): Promise<boolean> {
    const [first] = this.#buffers;
    const once = this.#readsOf(first, 0, Math.min(first.size, MOST_FIRST_BYTES));
    const all = Array.from({ length: times }, () => once).flat();
    const start = this.now();
    for (const part of cutByCost(all, this.#submissionBytes(this.#rate))) {
      if (!(await this.#submit(part))) return false;
    }
    this.#learn(costOf(all), start);
    return true;
  }

  /**
   * Reads all pieces. Every submission binds all of them and reads a share of each, so that the GPU needs all of them at
   * once even if it is so slow that it gets several.
   * @throws MixtabError `webgpu-device-lost` or `internal` if the device failed otherwise
   */
  async readAll(): Promise<boolean> {
    const bytes = this.#buffers.reduce((sum, { size }) => sum + size, 0);
    const start = this.now();
    let done = 0;
    let rate = this.#rate;
    while (done < 1) {
      const end = Math.min(1, done + this.#submissionBytes(rate) / bytes);
      if (!(await this.#submit(this.#buffers.flatMap((buffer) => this.#shareOf(buffer, done, end))))) return false;
      done = end;
      rate = this.#learn(bytes * done, start);
    }
    return true;
  }

  /** Frees what was allocated. */
  destroy(): void {
    for (const buffer of [...this.#own, this.#output]) buffer.destroy();
  }

  /** The most bytes of one submission. */
  #submissionBytes(rate: number): Bytes {
    return Math.max(FIRST_SUBMISSION_BYTES, rate * SUBMISSION_MS);
  }

  /** @returns bytes per millisecond since `start`, never too many */
  #learn(bytes: Bytes, start: number): number {
    const rate = bytes / (this.now() - start + this.clockStepMs);
    this.#rate = Math.max(this.#rate, rate);
    return rate;
  }

  #submit(reads: readonly Dispatch[]): Promise<boolean> {
    return submitProbe(this.#gpu, encodePass(this.#gpu.device, reads, 'probe'));
  }

  /**
   * Reads of a share of a buffer, at least a few bytes, so that it is used.
   * @param from share of the buffer: 0 to 1
   * @param to share of the buffer: 0 to 1
   */
  #shareOf(buffer: GPUBuffer, from: number, to: number): Dispatch[] {
    const groups = Math.ceil(buffer.size / GROUP_BYTES);
    const [first, end] = [from, to].map((share) => Math.floor(groups * share) * GROUP_BYTES);
    const reads = this.#readsOf(buffer, first, Math.min(end, buffer.size));
    return reads.length > 0 ? reads : this.#readsOf(buffer, 0, Math.min(LEAST_BYTES, buffer.size));
  }

  /** Reads of the bytes from `first` to `end`, as far as a kernel can bind them. */
  #readsOf(buffer: GPUBuffer, first: Bytes, end: Bytes): Dispatch[] {
    const { device, pipelines } = this.#gpu;
    const { maxStorageBufferBindingSize, maxComputeWorkgroupsPerDimension } = device.limits;
    const partBytes = Math.floor(maxStorageBufferBindingSize / GROUP_BYTES) * GROUP_BYTES;
    const reads: Dispatch[] = [];
    for (let offset = first; offset + LEAST_BYTES <= end; offset += partBytes) {
      const part: Slice = { buffer, offset, size: Math.min(partBytes, end - offset) };
      const groups = Math.ceil(part.size / GROUP_BYTES);
      const folds = Math.ceil(groups / maxComputeWorkgroupsPerDimension);
      const kernel = { name: 'read all', code: [readCode] };
      const grid = [Math.ceil(groups / folds), 1, folds] as const;
      const dispatch = pipelines.dispatch(kernel, { WORKGROUP }, [part, whole(this.#output)], grid, 'probe');
      reads.push({ ...dispatch, cost: part.size });
    }
    return reads;
  }
}

/**
 * Submits a measurement and waits for it.
 * @returns false if the GPU reported that it has too little memory
 * @throws MixtabError `webgpu-device-lost` or `internal` if the device failed otherwise
 */
async function submitProbe(
  { device, health }: Pick<Gpu, 'device' | 'health'>,
  encoder: GPUCommandEncoder,
): Promise<boolean> {
  device.pushErrorScope('out-of-memory');
  device.queue.submit([encoder.finish()]);
  const outOfMemory = device.popErrorScope();
  await withFirefoxPoll(device.queue, device.queue.onSubmittedWorkDone());
  health.check();
  return (await outOfMemory) === null;
}

/**
 * Measures how fast the GPU copies within its memory and from main memory. A mappable buffer is in main memory, except
 * on drivers that put it where both can reach it; there the two rates are equal.
 * @param bytes per copy
 * @returns bytes per second; undefined if there is too little memory
 */
export async function measureCopyRates(
  gpu: Pick<Gpu, 'device' | 'health' | 'clockStepMs'>,
  bytes: Bytes,
): Promise<{ copyRate: number; hostCopyRate: number } | undefined> {
  const { device } = gpu;
  const { COPY_SRC, COPY_DST, MAP_WRITE } = GPUBufferUsage;
  const buffers: GPUBuffer[] = [];
  const allocate = (usage: number, mappedAtCreation = false): GPUBuffer => {
    const buffer = device.createBuffer({ label: 'probe copy', size: bytes, usage, mappedAtCreation });
    buffers.push(buffer);
    return buffer;
  };
  try {
    const allocated = await withAllocations(
      device,
      () => [allocate(MAP_WRITE | COPY_SRC, true), allocate(COPY_SRC | COPY_DST), allocate(COPY_DST)],
      () => {},
    ).catch((error: unknown) => {
      // What is mapped at its creation needs main memory at once. WebGPU throws a RangeError if there is none.
      if (isOutOfMemory(error) || error instanceof RangeError) return undefined;
      throw error;
    });
    if (!allocated) return undefined;
    const [host, from, to] = allocated;
    host.unmap();
    const copy =
      (source: GPUBuffer) =>
      (times: number): Promise<boolean> => {
        const encoder = device.createCommandEncoder({ label: 'probe copy' });
        for (let i = 0; i < times; i++) encoder.copyBufferToBuffer(source, 0, to, 0, bytes);
        return submitProbe(gpu, encoder);
      };
    const clock = { now: () => performance.now(), clockStepMs: gpu.clockStepMs };
    const rates: (number | undefined)[] = [];
    for (const source of [from, host]) {
      await copy(source)(1); // provides the memory
      rates.push(await rateOf(bytes, copy(source), clock));
    }
    const [copyRate, hostCopyRate] = rates;
    return copyRate && hostCopyRate ? { copyRate, hostCopyRate } : undefined;
  } finally {
    for (const buffer of buffers) buffer.destroy();
  }
}

/**
 * Allocates buffers of up to 256 MiB until an allocation fails or `limit` bytes are allocated, and then frees all of
 * them. Nothing is read: the memory of a software adapter is main memory, and using it takes long.
 * @returns the bytes that could be allocated, at most `limit`
 */
export async function probeGpuMemory(device: GPUDevice, limit: Bytes): Promise<Bytes> {
  const step = Math.min(STEP_BYTES, device.limits.maxBufferSize);
  const buffers: GPUBuffer[] = [];
  let found = 0;
  try {
    while (found < limit) {
      const size = Math.ceil(Math.min(step, limit - found) / 4) * 4;
      const buffer = await tryAllocate(device, size);
      if (!buffer) break;
      buffers.push(buffer);
      found += size;
    }
  } finally {
    for (const buffer of buffers) buffer.destroy();
  }
  return Math.min(found, limit);
}

/** @returns undefined if the allocation fails */
async function tryAllocate(device: GPUDevice, size: Bytes): Promise<GPUBuffer | undefined> {
  device.pushErrorScope('validation');
  device.pushErrorScope('out-of-memory');
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
  const buffer = device.createBuffer({ label: 'probe', size, usage });
  const [outOfMemory, invalid] = await Promise.all([device.popErrorScope(), device.popErrorScope()]);
  if (!outOfMemory && !invalid) return buffer;
  buffer.destroy();
  return undefined;
}
