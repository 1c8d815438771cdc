/** One recorded kernel call. A forward pass is a list of these; encoding it is a plain loop. */
export interface Dispatch {
  /** Kernel and place, for errors and traces, e.g. `matvec L3.attn_q`. */
  label: string;
  pipeline: GPUComputePipeline;
  bindGroup: GPUBindGroup;
  /** Workgroups in x, y, z. */
  workgroups: readonly [number, number, number];
}

/** Encodes dispatches in order; WebGPU orders each one's writes before the next one's reads. */
export function encode(pass: GPUComputePassEncoder, dispatches: readonly Dispatch[]): void {
  for (const { pipeline, bindGroup, workgroups } of dispatches) {
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(...workgroups);
  }
}

/** An encoder with the dispatches as one pass, to which copies may still be added. */
export function encodePass(device: GPUDevice, dispatches: readonly Dispatch[], label = ''): GPUCommandEncoder {
  const encoder = device.createCommandEncoder({ label });
  const pass = encoder.beginComputePass();
  encode(pass, dispatches);
  pass.end();
  return encoder;
}

export function submit(device: GPUDevice, dispatches: readonly Dispatch[], label = ''): void {
  device.queue.submit([encodePass(device, dispatches, label).finish()]);
}

/** A region of a GPU buffer. `offset` is a multiple of 256, `size` of 4. */
export interface Slice {
  buffer: GPUBuffer;
  offset: number;
  size: number;
}

/** The whole of a buffer. */
export const whole = (buffer: GPUBuffer): Slice => ({ buffer, offset: 0, size: buffer.size });
