/** Compares all variants of an operation with a reference. */
import type { Bytes } from '../../src/contract/ids.ts';
import type { Dispatch, Slice } from '../compute/gpu/dispatch.ts';
import type { OpContext } from '../compute/gpu/ops/context.ts';
import { dequantize } from '../format/quantization/dequantize.ts';
import { ggufBytes, repackTensor } from '../format/quantization/repack.ts';
import { layoutTensor, type TensorLayout, WEIGHT_TYPES, type WeightTypeName } from '../format/weight-layout.ts';
import type { Tolerance } from '../reference/tolerance.ts';
import { hashName, writeBlock } from '../synth/random-blocks.ts';
import type { Buffers } from './buffers.ts';
import { encodeAndWait } from './encode-and-wait.ts';
import type { Measurement } from './measurement.ts';

/** Reports the worst error of one kernel, as a multiple of what is allowed. More than 1 is wrong. */
export type ReportError = (name: string, variant: string | undefined, error: number) => void;

/** Numbers between -1 and 1. */
export const numbers = (length: number, seed: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => Math.sin((i + 1) * (seed + 0.618)) * Math.cos(i * 0.37));

/** A random matrix as its record has it, and its weights. */
export function randomMatrix(type: WeightTypeName, rows: number, cols: number, name: string, offset: Bytes = 0) {
  const weightType = WEIGHT_TYPES[type];
  const source = new Uint8Array(ggufBytes(weightType, rows, cols));
  const recipe = { type, seed: hashName(name, 3), deviation: 1 / Math.sqrt(cols) };
  for (let at = 0, n = 0; at < source.byteLength; at += weightType.blockBytes) writeBlock(recipe, n++, source, at);
  const layout: TensorLayout = layoutTensor(name, weightType, rows, cols, offset);
  return {
    layout,
    weights: dequantize(type, source),
    repackInto: (record: Uint8Array) => repackTensor(source, layout, record),
  };
}

/** Runs an operation in all variants and reports how far each is from the reference. */
export async function checkVariants(
  measurement: Measurement,
  buffers: Buffers,
  check: {
    name: string;
    state: Parameters<Buffers['state']>[0];
    record: (ctx: OpContext) => Dispatch[];
    /** What the operation writes. Cleared before each variant, so that none can rely on another's result. */
    outputs: readonly Slice[];
    /** The worst error as a multiple of what is allowed. */
    error: () => Promise<number>;
  },
  report: ReportError,
): Promise<void> {
  for (const { variant, dispatches } of measurement.variantsOf(buffers.state(check.state), check.record)) {
    const encoder = measurement.device.createCommandEncoder();
    for (const { buffer, offset, size } of check.outputs) encoder.clearBuffer(buffer, offset, size);
    measurement.device.queue.submit([encoder.finish()]);
    await encodeAndWait(measurement.device, dispatches);
    report(check.name, variant, await check.error());
  }
}

/** The largest deviation as a multiple of what is allowed. */
export function errorOf(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { relative, absolute }: Tolerance,
): number {
  let [largest, worst] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i] - expected[i]);
    if (Number.isNaN(error)) return Number.POSITIVE_INFINITY;
    worst = Math.max(worst, error);
    largest = Math.max(largest, Math.abs(expected[i]));
  }
  return worst / (absolute + relative * largest);
}
