/**
 * Compiles each kernel once per source and overrides, and records calls of it.
 *
 * A kernel is WGSL source (the lib files that it uses, then its own file), an entry point `main`, and a list of
 * bindings in group 0. Sizes that are fixed for a model are overrides. Values that change from call to call are in
 * buffers.
 */
import { MixtabError } from '../../../src/contract/errors.ts';
import type { Dispatch, Slice } from './dispatch.ts';

export interface KernelSource {
  /** Identifies the source: two kernels with the same name share a shader module. Also used as a label. */
  name: string;
  /** The texts of the WGSL files, in order: libs first. */
  code: readonly string[];
  /** Constants that are too large for WGSL, in a read-only storage buffer that all calls share. */
  table?: { binding: number; bytes: Uint8Array<ArrayBuffer> };
}

/** Values of the `override` constants of a kernel, by name. */
export type Overrides = Readonly<Record<string, number>>;

/** A kernel with the values of its overrides. */
export interface PlannedKernel {
  kernel: KernelSource;
  overrides: Overrides;
}

/** The pipelines, shader modules and tables of one device, created on first use. */
export class PipelineCache {
  readonly #pipelines = new Map<string, GPUComputePipeline>();
  readonly #modules = new Map<string, GPUShaderModule>();
  readonly #tables = new Map<Uint8Array<ArrayBuffer>, GPUBuffer>();

  /** Only set while {@link plan} collects the kernels of calls. */
  #planned: Map<string, PlannedKernel> | undefined;

  constructor(readonly device: GPUDevice) {}

  /**
   * The kernels that calls need, by a key that differs for each pipeline.
   * @param calls records calls synchronously; their dispatches must not be submitted
   */
  plan(calls: () => void): ReadonlyMap<string, PlannedKernel> {
    const planned = new Map<string, PlannedKernel>();
    this.#planned = planned;
    try {
      calls();
    } finally {
      this.#planned = undefined;
    }
    return planned;
  }

  /**
   * Compiles all pipelines that the calls in `calls` need, in parallel and off this thread. Otherwise each would be
   * compiled at its first call, one after the other, and delay the first token.
   * @param calls records calls synchronously; their dispatches must not be submitted
   */
  async compile(calls: () => void): Promise<void> {
    const missing = [...this.plan(calls)].filter(([key]) => !this.#pipelines.has(key));
    await Promise.all(
      missing.map(async ([key, { kernel, overrides }]) => {
        const descriptor = this.#descriptor(key, kernel, overrides);
        this.#pipelines.set(key, await this.device.createComputePipelineAsync(descriptor));
      }),
    );
  }

  /**
   * Compiles as {@link compile}, and catches what WebGPU reports of invalid kernels.
   * @returns whether all of them are valid
   */
  async canCompile(calls: () => void): Promise<boolean> {
    // Modules are created at once, before the scope is popped. Pipelines of an invalid one are rejected.
    this.device.pushErrorScope('validation');
    const compiled = this.compile(calls);
    const [{ status }] = await Promise.allSettled([compiled, this.device.popErrorScope()]);
    return status === 'fulfilled';
  }

  /** Returns the pipeline of a kernel with these overrides. It is compiled on first use and cached. */
  get(kernel: KernelSource, overrides: Overrides): GPUComputePipeline {
    const key = keyOf(kernel, overrides);
    let pipeline = this.#pipelines.get(key);
    if (!pipeline) {
      pipeline = this.device.createComputePipeline(this.#descriptor(key, kernel, overrides));
      this.#pipelines.set(key, pipeline);
    }
    return pipeline;
  }

  #descriptor(label: string, kernel: KernelSource, constants: Overrides): GPUComputePipelineDescriptor {
    return { label, layout: 'auto', compute: { module: this.#module(kernel), entryPoint: 'main', constants } };
  }

  /**
   * Records one call of a kernel.
   * @param slices bindings 0, 1, 2 ... of group 0, in order
   * @param workgroups the dispatch grid, in workgroups
   * @param label what the call computes, e.g. `L3.attn_q`
   * @throws MixtabError `gpu-limit` if the grid exceeds the limits of the adapter
   */
  dispatch(
    kernel: KernelSource,
    overrides: Overrides,
    slices: readonly Slice[],
    workgroups: readonly [number, number, number],
    label = '',
  ): Dispatch {
    const name = `${kernel.name} ${label}`;
    const limit = this.device.limits.maxComputeWorkgroupsPerDimension;
    if (Math.max(...workgroups) > limit) {
      throw new MixtabError(
        'gpu-limit',
        `The kernel ${name} needs ${workgroups.join(' x ')} workgroups, this adapter allows ${limit} per dimension.`,
        'Use a smaller model or another GPU.',
      );
    }
    if (this.#planned) {
      this.#planned.set(keyOf(kernel, overrides), { kernel, overrides });
      return { label: name, workgroups } as Dispatch; // only planned, never submitted
    }
    const pipeline = this.get(kernel, overrides);
    const entries: GPUBindGroupEntry[] = slices.map((slice, binding) => ({ binding, resource: slice }));
    if (kernel.table) {
      entries.push({ binding: kernel.table.binding, resource: { buffer: this.#table(kernel.table.bytes) } });
    }
    const bindGroup = this.device.createBindGroup({ label: name, layout: pipeline.getBindGroupLayout(0), entries });
    return { label: name, pipeline, bindGroup, workgroups };
  }

  #table(bytes: Uint8Array<ArrayBuffer>): GPUBuffer {
    let buffer = this.#tables.get(bytes);
    if (!buffer) {
      const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
      buffer = this.device.createBuffer({ label: 'table', size: bytes.byteLength, usage });
      this.device.queue.writeBuffer(buffer, 0, bytes);
      this.#tables.set(bytes, buffer);
    }
    return buffer;
  }

  #module(kernel: KernelSource): GPUShaderModule {
    let module = this.#modules.get(kernel.name);
    if (!module) {
      module = this.device.createShaderModule({ label: kernel.name, code: kernel.code.join('\n') });
      this.#modules.set(kernel.name, module);
    }
    return module;
  }
}

const keyOf = ({ name }: KernelSource, overrides: Overrides): string => `${name} ${JSON.stringify(overrides)}`;
