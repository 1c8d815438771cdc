/**
 * Compiles kernels once per (source, overrides) and records calls of them.
 *
 * A kernel is WGSL source (its own file, preceded by the lib files it names), an entry point `main`,
 * and a list of bindings in group 0. Sizes that hold for the whole life of a model are overrides;
 * what changes from call to call lies in buffers.
 */
import { MixtabError } from '../../../src/contract/errors.ts';
import type { Dispatch, Slice } from './dispatch.ts';

export interface KernelSource {
  /** File name without extension; also the label of everything made from it. */
  name: string;
  /** The files' texts in order: libs first. */
  code: readonly string[];
  /** Constants too large for WGSL, in a read-only storage buffer that all calls share. */
  table?: { binding: number; bytes: Uint8Array<ArrayBuffer> };
}

export type Overrides = Readonly<Record<string, number>>;

export class PipelineCache {
  readonly #pipelines = new Map<string, GPUComputePipeline>();
  readonly #modules = new Map<string, GPUShaderModule>();
  readonly #tables = new Map<Uint8Array<ArrayBuffer>, GPUBuffer>();

  /** While calls are only planned: what they would need. */
  #planned: Map<string, GPUComputePipelineDescriptor> | undefined;

  constructor(readonly device: GPUDevice) {}

  /**
   * Compiles what the calls that `plan` records will need, side by side and off this thread; compiled one by one when first
   * called they would hold up the first token.
   * @param plan records calls, synchronously; they come to nothing
   */
  async compile(plan: () => void): Promise<void> {
    const planned = new Map<string, GPUComputePipelineDescriptor>();
    this.#planned = planned;
    try {
      plan();
    } finally {
      this.#planned = undefined;
    }
    await Promise.all(
      [...planned].map(async ([key, descriptor]) => {
        this.#pipelines.set(key, await this.device.createComputePipelineAsync(descriptor));
      }),
    );
  }

  /** The pipeline of `kernel` with these overrides; compiled on first use, cached after. */
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
   * Records one call.
   * @param slices bindings 0, 1, 2 ... of group 0, in order
   */
  dispatch(
    kernel: KernelSource,
    overrides: Overrides,
    slices: readonly Slice[],
    workgroups: readonly [number, number, number],
    place = '',
  ): Dispatch {
    const limit = this.device.limits.maxComputeWorkgroupsPerDimension;
    if (Math.max(...workgroups) > limit) {
      throw new MixtabError(
        'gpu-limit',
        `${kernel.name} ${place} needs ${workgroups.join(' x ')} workgroups, the adapter allows ${limit}.`,
      );
    }
    const label = `${kernel.name} ${place}`;
    if (this.#planned) {
      const key = keyOf(kernel, overrides);
      if (!this.#pipelines.has(key)) this.#planned.set(key, this.#descriptor(key, kernel, overrides));
      return { label, workgroups } as Dispatch; // planned, never submitted
    }
    const pipeline = this.get(kernel, overrides);
    const entries: GPUBindGroupEntry[] = slices.map((slice, binding) => ({ binding, resource: slice }));
    if (kernel.table)
      entries.push({ binding: kernel.table.binding, resource: { buffer: this.#table(kernel.table.bytes) } });
    const bindGroup = this.device.createBindGroup({ label, layout: pipeline.getBindGroupLayout(0), entries });
    return { label, pipeline, bindGroup, workgroups };
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
