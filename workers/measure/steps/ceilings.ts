/** What this GPU can do at most, and what each piece of overhead costs: the figures that all others are compared with. */
import arithmeticCode from '../../../shaders/measure_arithmetic.wgsl?raw';
import dependentCode from '../../../shaders/measure_dependent.wgsl?raw';
import independentCode from '../../../shaders/measure_independent.wgsl?raw';
import readCode from '../../../shaders/read_all.wgsl?raw';
import { type Dispatch, type DispatchParts, encodePass } from '../../compute/gpu/dispatch.ts';
import { timeSamples } from '../../experts/clock-step.ts';
import type { Buffers } from '../buffers.ts';
import type { Measurement } from '../measurement.ts';
import { idle } from '../timing.ts';

const WORKGROUP = 256;
/** Bytes that a workgroup of read_all.wgsl reads. */
const GROUP_BYTES = WORKGROUP * 16 * 16;
/** Floating-point operations per thread and round of measure_arithmetic.wgsl. */
const ROUND_FLOPS = 64 * 2;
/** Samples of empty submissions and of readbacks, whose fastest counts. */
const SAMPLES = 20;
/** With a clock of longer steps, so many samples would take seconds, and two have to do. */
const MOST_STEP_MS = 2;

/** Measures the ceilings. Later steps compare with the read bandwidth and the f32 rate that it finds. */
export async function measureCeilings(measurement: Measurement): Promise<void> {
  await measurement.withBuffers(async (buffers) => {
    await submissions(measurement, buffers);
    const gigabytes = await readRate(measurement, buffers);
    measurement.bytesPerSecond = gigabytes * 1e9;
    measurement.add({ name: 'read bandwidth', value: gigabytes, unit: 'GB/s' });
    const teraflops = await arithmeticRate(measurement, buffers);
    measurement.flops = teraflops * 1e12;
    measurement.add({ name: 'f32 multiply-adds', value: teraflops, unit: 'TFLOP/s' });
    await dispatchCosts(measurement, buffers);
  });
}

/** Reads buffers that no cache holds. @returns GB/s */
export async function readRate(measurement: Measurement, buffers: Buffers): Promise<number> {
  const { device, gpu, shapes } = measurement;
  const limit = Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize, 2 ** 28);
  const bytes = Math.floor(Math.min(shapes.readBytes, limit) / GROUP_BYTES) * GROUP_BYTES;
  const output = buffers.allocate(16);
  const copies = Array.from({ length: Math.ceil(shapes.readBytes / bytes) }, (): Dispatch[] => [
    gpu.pipelines.dispatch(
      { name: 'measure read', code: [readCode] },
      { WORKGROUP },
      [buffers.allocate(bytes), output],
      [bytes / GROUP_BYTES, 1, 1],
    ),
  ]);
  return bytes / 1e6 / (await measurement.time(copies));
}

/** Multiply-adds with all operands in registers. @returns TFLOP/s */
export async function arithmeticRate(measurement: Measurement, buffers: Buffers): Promise<number> {
  const { gpu, shapes } = measurement;
  const { threads, arithmeticRounds } = shapes;
  const whole = gpu.pipelines.dispatch(
    { name: 'measure arithmetic', code: [arithmeticCode] },
    { WORKGROUP, ROUNDS: arithmeticRounds },
    [buffers.allocate(16)],
    [threads / WORKGROUP, 1, 1],
  );
  const { bindGroup } = whole;
  const parts: DispatchParts = {
    count: threads / WORKGROUP,
    slice: (_first, count) => ({ bindGroup, workgroups: [count, 1, 1] }), // all workgroups compute the same
  };
  const dispatch: Dispatch = { ...whole, cost: (threads * arithmeticRounds * ROUND_FLOPS) / 2, parts };
  return (threads * arithmeticRounds * ROUND_FLOPS) / 1e9 / (await measurement.time([[dispatch]]));
}

/** The time of an empty submission, and of reading a few bytes back. */
async function submissions(measurement: Measurement, buffers: Buffers): Promise<void> {
  const { device } = measurement;
  const { clockStepMs } = measurement.gpu;
  const clock = { now: () => performance.now(), clockStepMs };
  const fastest = async (once: () => Promise<void>): Promise<number> => {
    await once();
    return Math.min(...(await timeSamples(clockStepMs > MOST_STEP_MS ? 2 : SAMPLES, clock, once)));
  };
  const submit = await fastest(async () => {
    device.queue.submit([encodePass(device, [], 'measure').finish()]);
    await idle(device);
  });
  measurement.submitMs = submit;
  measurement.add({ name: 'submit and wait', value: submit, unit: 'ms' });
  const source = buffers.allocate(256);
  const staging = device.createBuffer({ size: 256, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const readback = await fastest(async () => {
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(source.buffer, 0, staging, 0, 256);
    device.queue.submit([encoder.finish()]);
    const mapped = staging.mapAsync(GPUMapMode.READ);
    await idle(device);
    await mapped;
    staging.unmap();
  });
  staging.destroy();
  measurement.add({ name: 'read 256 bytes back', value: readback, unit: 'ms' });
}

/** What a dispatch costs that does nothing: if it has to wait for the one before it, and if it need not. */
async function dispatchCosts(measurement: Measurement, buffers: Buffers): Promise<void> {
  const { gpu, shapes } = measurement;
  const data = buffers.allocate(16);
  const dependent = gpu.pipelines.dispatch({ name: 'measure dependent', code: [dependentCode] }, {}, [data], [1, 1, 1]);
  const independent = Array.from({ length: 64 }, () =>
    gpu.pipelines.dispatch(
      { name: 'measure independent', code: [independentCode] },
      {},
      [data, buffers.allocate(16)],
      [1, 1, 1],
    ),
  );
  const list = (of: readonly Dispatch[]): Dispatch[] =>
    Array.from({ length: shapes.dispatches }, (_, i) => of[i % of.length]);
  const each = async (of: readonly Dispatch[]): Promise<number> =>
    ((await measurement.time([list(of)])) / shapes.dispatches) * 1000;
  measurement.add({ name: 'dispatch that waits for the one before', value: await each([dependent]), unit: 'us' });
  measurement.add({ name: 'dispatch that waits for no other', value: await each(independent), unit: 'us' });
}
