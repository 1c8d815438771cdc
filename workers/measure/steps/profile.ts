/** Where the time of a token goes: each dispatch in a pass of its own, with the GPU's clock before and after it. */

import { type Dispatch, encode } from '../../compute/gpu/dispatch.ts';
import type { GpuModel } from '../../compute/gpu/gpu-model.ts';
import { decodeProgram } from '../../compute/gpu/model/decode-program.ts';
import { cutByCost } from '../../compute/gpu/slicing.ts';
import type { Measurement } from '../measurement.ts';
import { idle } from '../timing.ts';

/** Most queries in a set, as WebGPU allows. */
const MAX_QUERIES = 4096;

/** Dispatches of the same kernel and role in all layers: `matmul workgroup Q4_K attn_q`. */
const roleOf = (label: string): string =>
  label
    .replace(/ ?\bL\d+\.?/, ' ')
    .replace(/slots\d+\+/, '')
    .trim();

/**
 * Reports the time of each role over all layers, the largest first. Passes are longer than dispatches within one pass,
 * and Chrome rounds its clock to 0.1 ms, so only the proportions count. Nothing without `timestamp-query`.
 */
export async function profileToken(measurement: Measurement, { model }: GpuModel): Promise<void> {
  const { device } = measurement;
  if (measurement.isOver || !device.features.has('timestamp-query')) return;
  const { whole } = decodeProgram(model);
  if (whole.length * 2 > MAX_QUERIES) return;
  const times = new Map<string, number>();
  model.buffers.state.clearStall();
  const { pacing } = measurement.gpu;
  const parts = pacing ? cutByCost(whole, pacing.submissionCost) : [whole];
  const nanoseconds = await timestamps(device, parts);
  for (const [i, { label }] of whole.entries()) {
    const role = roleOf(label);
    times.set(role, (times.get(role) ?? 0) + nanoseconds[i]);
  }
  const sorted = [...times].sort(([, a], [, b]) => b - a);
  for (const [role, ns] of sorted) measurement.add({ name: `profile: ${role}`, value: ns / 1000, unit: 'us' });
}

/** Submits each part, whose dispatches have a pass each. @returns the nanoseconds of each dispatch */
async function timestamps(device: GPUDevice, parts: readonly (readonly Dispatch[])[]): Promise<number[]> {
  const count = parts.reduce((sum, { length }) => sum + length, 0);
  const querySet = device.createQuerySet({ type: 'timestamp', count: count * 2 });
  const bytes = count * 16;
  const resolved = device.createBuffer({ size: bytes, usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC });
  const staging = device.createBuffer({ size: bytes, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  let query = 0;
  for (const part of parts) {
    const encoder = device.createCommandEncoder({ label: 'profile' });
    for (const dispatch of part) {
      const timestampWrites = { querySet, beginningOfPassWriteIndex: query++, endOfPassWriteIndex: query++ };
      const pass = encoder.beginComputePass({ timestampWrites });
      encode(pass, [dispatch]);
      pass.end();
    }
    device.queue.submit([encoder.finish()]);
  }
  const encoder = device.createCommandEncoder({ label: 'profile' });
  encoder.resolveQuerySet(querySet, 0, count * 2, resolved, 0);
  encoder.copyBufferToBuffer(resolved, 0, staging, 0, bytes);
  device.queue.submit([encoder.finish()]);
  await idle(device);
  await staging.mapAsync(GPUMapMode.READ);
  const ticks = new BigUint64Array(staging.getMappedRange().slice(0));
  for (const resource of [querySet, resolved, staging]) resource.destroy();
  return Array.from({ length: count }, (_, i) => Number(ticks[2 * i + 1] - ticks[2 * i]));
}
