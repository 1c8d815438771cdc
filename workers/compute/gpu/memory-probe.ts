/** The memory of a device as a measurement of it needs it: allocated piece by piece, and read by a kernel. */
import readCode from '../../../shaders/read_all.wgsl?raw';
import type { Bytes } from '../../../src/contract/ids.ts';
import { type ProbedMemory, rateOf } from '../../experts/measured-memory.ts';
import { type Dispatch, encodePass, type Slice, whole } from './dispatch.ts';
import { withFirefoxPoll } from './firefox-poll.ts';
import type { Gpu } from './open-gpu.ts';

const STEP_BYTES: Bytes = 256 * 1024 * 1024;
const WORKGROUP = 256;
/** Bytes that a workgroup of read_all.wgsl reads. */
const GROUP_BYTES = WORKGROUP * 16 * 16;
/** The kernel cannot bind less. */
const LEAST_BYTES = 16;

/** Buffers of a device that are read together, by a kernel that keeps nothing. */
export class GpuMemoryPieces implements ProbedMemory {
  readonly #gpu: Pick<Gpu, 'device' | 'pipelines' | 'health'>;
  /** Allocated by {@link allocate}. */
  readonly #own: GPUBuffer[] = [];
  readonly #output: GPUBuffer;
  /** The reads of each piece. */
  readonly #reads: Dispatch[][];
  readonly now: () => number;

  /**
   * @param buffers pieces that exist already and stay with their owner
   * @param now milliseconds; default: `performance.now`
   */
  constructor(
    gpu: Pick<Gpu, 'device' | 'pipelines' | 'health'>,
    buffers: readonly GPUBuffer[] = [],
    now: () => number = () => performance.now(),
  ) {
    this.#gpu = gpu;
    this.now = now;
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
    this.#output = gpu.device.createBuffer({ label: 'probe output', size: 16, usage });
    this.#reads = buffers.map((buffer) => this.#readsOf(buffer));
  }

  async allocate(bytes: Bytes): Promise<boolean> {
    const buffer = await tryAllocate(this.#gpu.device, Math.max(LEAST_BYTES, bytes));
    if (!buffer) return false;
    this.#own.push(buffer);
    this.#reads.push(this.#readsOf(buffer));
    return true;
  }

  /** Reads some bytes of a buffer of its own, which waits for the kernel to be compiled. */
  async prepare(): Promise<void> {
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
    const buffer = this.#gpu.device.createBuffer({ label: 'probe warm-up', size: LEAST_BYTES, usage });
    await submitProbe(this.#gpu, encodePass(this.#gpu.device, this.#readsOf(buffer), 'probe'));
    buffer.destroy();
  }

  /** @throws MixtabError `webgpu-device-lost` or `internal` if the device failed otherwise */
  read(pieces: 'first' | 'all', times: number): Promise<boolean> {
    const once = pieces === 'first' ? this.#reads[0] : this.#reads.flat();
    const dispatches = Array.from({ length: times }, () => once).flat();
    return submitProbe(this.#gpu, encodePass(this.#gpu.device, dispatches, 'probe'));
  }

  /** Frees what was allocated. */
  destroy(): void {
    for (const buffer of [...this.#own, this.#output]) buffer.destroy();
  }

  #readsOf(buffer: GPUBuffer): Dispatch[] {
    const { device, pipelines } = this.#gpu;
    const { maxStorageBufferBindingSize, maxComputeWorkgroupsPerDimension } = device.limits;
    const partBytes = Math.floor(maxStorageBufferBindingSize / GROUP_BYTES) * GROUP_BYTES;
    const reads: Dispatch[] = [];
    for (let offset = 0; offset + LEAST_BYTES <= buffer.size; offset += partBytes) {
      const part: Slice = { buffer, offset, size: Math.min(partBytes, buffer.size - offset) };
      const groups = Math.ceil(part.size / GROUP_BYTES);
      const folds = Math.ceil(groups / maxComputeWorkgroupsPerDimension);
      const kernel = { name: 'read all', code: [readCode] };
      const grid = [Math.ceil(groups / folds), 1, folds] as const;
      reads.push(pipelines.dispatch(kernel, { WORKGROUP }, [part, whole(this.#output)], grid, 'probe'));
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
  gpu: Pick<Gpu, 'device' | 'health'>,
  bytes: Bytes,
): Promise<{ copyRate: number; hostCopyRate: number } | undefined> {
  const { device } = gpu;
  const { COPY_SRC, COPY_DST, MAP_WRITE } = GPUBufferUsage;
  const buffer = (usage: number, mappedAtCreation = false): GPUBuffer =>
    device.createBuffer({ label: 'probe copy', size: bytes, usage, mappedAtCreation });
  device.pushErrorScope('out-of-memory');
  const [host, from, to] = [buffer(MAP_WRITE | COPY_SRC, true), buffer(COPY_SRC | COPY_DST), buffer(COPY_DST)];
  try {
    if (await device.popErrorScope()) return undefined;
    host.unmap();
    const copy =
      (source: GPUBuffer) =>
      (times: number): Promise<boolean> => {
        const encoder = device.createCommandEncoder({ label: 'probe copy' });
        for (let i = 0; i < times; i++) encoder.copyBufferToBuffer(source, 0, to, 0, bytes);
        return submitProbe(gpu, encoder);
      };
    const rates: (number | undefined)[] = [];
    for (const source of [from, host]) {
      await copy(source)(1); // provides the memory
      rates.push(await rateOf(bytes, copy(source), performance));
    }
    const [copyRate, hostCopyRate] = rates;
    return copyRate && hostCopyRate ? { copyRate, hostCopyRate } : undefined;
  } finally {
    for (const each of [host, from, to]) each.destroy();
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
  const outOfMemory = await device.popErrorScope();
  const invalid = await device.popErrorScope();
  if (!outOfMemory && !invalid) return buffer;
  buffer.destroy();
  return undefined;
}
