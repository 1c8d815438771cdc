/** A GPU device without a GPU, for tests in Node: it counts the memory of its buffers, and has only so much. */
import { vi } from 'vitest';
import type { Bytes } from '../../../src/contract/ids.ts';
import { AdapterMemory } from '../../store/adapter-memory.ts';
import { DeviceHealth } from './errors.ts';
import type { Gpu } from './open-gpu.ts';
import { PipelineCache } from './pipelines.ts';
import { defaultKernels } from './variants/kernel-variants.ts';

/** Workgroups in x, y, z. */
export type Grid = [number, number, number];

interface ErrorScope {
  kind: GPUErrorFilter;
  error: { message: string } | null;
}

/** Defines the constants of WebGPU that Node lacks, until `vi.unstubAllGlobals()`. */
export function stubWebGpuConstants(): void {
  vi.stubGlobal('GPUBufferUsage', { STORAGE: 1, COPY_DST: 2, COPY_SRC: 4, MAP_READ: 8, UNIFORM: 16, MAP_WRITE: 32 });
  vi.stubGlobal('GPUMapMode', { READ: 1, WRITE: 2 });
}

/** Pretends to be a GPUDevice, as far as loading a model uses one. Computes nothing. */
export class FakeDevice {
  /** The buffers that are not destroyed, by label. */
  readonly live = new Set<{ label: string; size: Bytes }>();
  destroyed = false;
  /** Like Chromium, keeps the memory of destroyed buffers until something is submitted. */
  keepsDestroyed = false;
  #keptBytes: Bytes = 0;
  /** Why no pipeline can be compiled; undefined if they can. */
  compileError: Error | undefined;
  /** Shader modules of which the device reports that they are invalid, by their labels. */
  invalidModules: RegExp | undefined;
  /** Pipelines that cannot be used, by their labels: the device reports each submission. */
  invalidPipelines: RegExp | undefined;
  /** Whether results can be read back. They are zeros. */
  readsBack = false;
  /** Called before each allocation, with the buffer's label and size. */
  onAllocation: (label: string, size: Bytes) => void = () => {};
  /** Writes to buffers that do not exist (any more). A real device reports them as errors, and is useless then. */
  readonly badWrites: string[] = [];
  /** Called for each `writeBuffer` with its bytes and the buffer's label. */
  onWrite: (bytes: Bytes, label: string) => void = () => {};
  /** Called for each copy from a staging buffer when it is submitted. */
  onCopy: (bytes: Bytes) => void = () => {};
  /** Called with the label of the pipeline of each dispatch of a submission, and with its grid. */
  onSubmit: (calls: readonly string[], grids: readonly Grid[]) => void = () => {};
  /** The labels of all pipelines that were compiled. */
  readonly pipelines: string[] = [];
  readonly features = new Set<string>();
  readonly limits = {
    maxBufferSize: 2e6,
    maxStorageBufferBindingSize: 2 ** 30,
    maxComputeWorkgroupsPerDimension: 65535,
    maxStorageBuffersPerShaderStage: 10,
    maxComputeWorkgroupStorageSize: 32768,
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupSizeX: 256,
  };
  readonly lost: Promise<GPUDeviceLostInfo>;
  readonly #scopes: ErrorScope[] = [];
  #lose: (info: GPUDeviceLostInfo) => void = () => {};

  readonly queue = {
    writeBuffer: (
      { label, alive }: { label: string; alive(): boolean },
      _offset: number,
      data: ArrayBufferView,
    ): void => {
      if (!alive()) this.badWrites.push(label);
      this.onWrite(data.byteLength, label);
    },
    submit: (commands: { calls: string[]; grids: Grid[]; copies: Bytes[] }[]): void => {
      this.#keptBytes = 0;
      for (const bytes of commands.flatMap((command) => command.copies)) this.onCopy(bytes);
      const calls = commands.flatMap((command) => command.calls);
      if (calls.some((label) => label.startsWith('read all')) && this.used > this.readable) {
        this.#report('out-of-memory', 'MakeResident has failed due to excessive video memory usage');
      }
      const unusable = calls.find((label) => this.invalidPipelines?.test(label));
      if (unusable) this.#report('validation', `Invalid CommandBuffer with ${unusable}`);
      const grids = commands.flatMap((command) => command.grids);
      this.onSubmit(calls, grids);
    },
    onSubmittedWorkDone: async (): Promise<void> => {},
  };

  /** Bytes that a submission can use at once. Direct3D 12 allocates more than that. */
  readable: Bytes = Number.POSITIVE_INFINITY;

  /** @param capacity bytes of memory */
  constructor(public capacity: Bytes) {
    this.lost = new Promise((resolve) => {
      this.#lose = resolve;
    });
  }

  /** The device as the product takes it, with an adapter that is no software. */
  get gpu(): Gpu {
    const device = this as unknown as GPUDevice;
    const adapter = { vendor: 'nvidia', software: false } as Gpu['adapter'];
    return {
      device,
      adapter,
      health: new DeviceHealth(device),
      pipelines: new PipelineCache(device),
      kernels: defaultKernels(false),
      variant: 'workgroup',
      measureKernels: false,
      uploads: 'write',
      checksKernels: false,
      measureMemory: false,
      clockStepMs: 0,
      memory: new AdapterMemory('fake'),
    };
  }

  /** Ends the device as the browser does. */
  lose(reason: GPUDeviceLostReason = 'unknown'): void {
    this.#lose({ reason, message: 'the driver was reset' } as GPUDeviceLostInfo);
  }

  destroy(): void {
    this.destroyed = true;
    this.lose('destroyed');
  }

  /** Bytes of all buffers that are not destroyed, and of those that are not free yet. */
  get used(): Bytes {
    return [...this.live].reduce((sum, { size }) => sum + size, this.#keptBytes);
  }

  addEventListener(): void {}

  pushErrorScope(kind: GPUErrorFilter): void {
    this.#scopes.push({ kind, error: null });
  }

  async popErrorScope(): Promise<ErrorScope['error']> {
    return this.#scopes.pop()?.error ?? null;
  }

  createBuffer({ label = '', size, mappedAtCreation = false }: GPUBufferDescriptor): unknown {
    this.onAllocation(label, size);
    const entry = { label, size };
    const valid = this.used + size <= this.capacity;
    if (valid) this.live.add(entry);
    else this.#report('out-of-memory', `Out of memory for ${label}`);
    return {
      label,
      size,
      // A buffer whose allocation failed can be written to: the error scope has reported it already.
      alive: () => this.live.has(entry) || !valid,
      // Nothing is ever computed, so by default only staging buffers can be mapped again.
      mapAsync: () => (mappedAtCreation || this.readsBack ? Promise.resolve() : new Promise(() => {})),
      getMappedRange: () => new ArrayBuffer(size),
      unmap: () => {},
      destroy: () => {
        if (this.live.delete(entry) && this.keepsDestroyed) this.#keptBytes += size;
      },
    };
  }

  createShaderModule({ label = '' }: GPUShaderModuleDescriptor): { invalid: boolean } {
    const invalid = this.invalidModules?.test(label) ?? false;
    if (invalid) this.#report('validation', `Error while parsing WGSL of ${label}`);
    return { invalid };
  }

  createComputePipeline({ label = '' }: GPUComputePipelineDescriptor): { label: string } {
    this.pipelines.push(label);
    return { label, getBindGroupLayout: () => ({}) } as { label: string };
  }

  async createComputePipelineAsync(descriptor: GPUComputePipelineDescriptor): Promise<object> {
    if (this.compileError) throw this.compileError;
    const { invalid } = descriptor.compute.module as unknown as { invalid: boolean };
    if (invalid) throw new Error(`Invalid ShaderModule of ${descriptor.label}`);
    return this.createComputePipeline(descriptor);
  }

  createBindGroup(): object {
    return {};
  }

  createCommandEncoder(_descriptor?: GPUCommandEncoderDescriptor): object {
    const calls: string[] = [];
    const grids: Grid[] = [];
    const copies: Bytes[] = [];
    let current = '';
    const pass = {
      setPipeline: ({ label }: { label: string }) => {
        current = label;
      },
      setBindGroup: () => {},
      dispatchWorkgroups: (...grid: Grid) => {
        calls.push(current);
        grids.push(grid);
      },
      end: () => {},
    };
    return {
      beginComputePass: () => pass,
      copyBufferToBuffer: ({ label }: { label: string }, _from: number, _to: unknown, _at: number, size: Bytes) => {
        if (label === 'staging') copies.push(size);
      },
      clearBuffer: () => {},
      finish: () => ({ calls, grids, copies }),
    };
  }

  #report(kind: GPUErrorFilter, message: string): void {
    const scope = this.#scopes.findLast((candidate) => candidate.kind === kind);
    if (!scope) throw new Error(`${message}, outside of any error scope`);
    scope.error ??= { message };
  }
}
