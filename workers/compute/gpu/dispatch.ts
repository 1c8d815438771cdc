/** One recorded kernel call. A forward pass is a list of these, and encoding it is a plain loop. */
export interface Dispatch {
  /** The kernel and what it computes, for errors and traces, e.g. `matmul rows Q4_K L3.attn_q`. */
  label: string;
  pipeline: GPUComputePipeline;
  bindGroup: GPUBindGroup;
  /** Workgroups in x, y, z. */
  workgroups: readonly [number, number, number];
  /** The work of a matrix product (`productCost` in slicing.ts) or of attention; absent for small kernels. */
  cost?: number;
  /** How to cut it into several dispatches; absent if it cannot be cut. */
  parts?: DispatchParts;
}

/** Equal parts of a dispatch that can be submitted one after the other, for example groups of matrix rows. */
export interface DispatchParts {
  count: number;
  /** What computes the parts `first .. first + count - 1`. */
  slice(first: number, count: number): Pick<Dispatch, 'bindGroup' | 'workgroups'>;
}

/** Encodes dispatches in order. WebGPU guarantees that each one sees the writes of those before it. */
export function encode(pass: GPUComputePassEncoder, dispatches: readonly Dispatch[]): void {
  let current: GPUComputePipeline | undefined;
  for (const { pipeline, bindGroup, workgroups } of dispatches) {
    if (pipeline !== current) pass.setPipeline(pipeline);
    current = pipeline;
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(...workgroups);
  }
}

/** Creates an encoder that holds the dispatches as one compute pass. The caller may add copies, then finishes it. */
export function encodePass(device: GPUDevice, dispatches: readonly Dispatch[], label = ''): GPUCommandEncoder {
  const encoder = device.createCommandEncoder({ label });
  const pass = encoder.beginComputePass();
  encode(pass, dispatches);
  pass.end();
  return encoder;
}

/** Submits the dispatches as one compute pass. */
export function submit(device: GPUDevice, dispatches: readonly Dispatch[], label = ''): void {
  device.queue.submit([encodePass(device, dispatches, label).finish()]);
}

/** A region of a GPU buffer, in bytes. `offset` is a multiple of 256, `size` a multiple of 4. */
export interface Slice {
  buffer: GPUBuffer;
  offset: number;
  size: number;
}

/** A slice that covers the whole buffer. */
export const whole = (buffer: GPUBuffer): Slice => ({ buffer, offset: 0, size: buffer.size });
