/**
 * The page of bench/matmul.ts: times the matrix kernels on the browser's adapter. The dispatches come from the engine's
 * own operations.
 */

import { reportAdapter, requestAdapter, requestDevice } from '../workers/compute/gpu/device.ts';
import type { Dispatch, Slice } from '../workers/compute/gpu/dispatch.ts';
import {
  type ExpertBank,
  GROUPS_HEADER_BYTES,
  type MatrixVariant,
  type OpContext,
} from '../workers/compute/gpu/ops/context.ts';
import { expertDown } from '../workers/compute/gpu/ops/expert-down.ts';
import { expertGateUp } from '../workers/compute/gpu/ops/expert-gate-up.ts';
import { matmul } from '../workers/compute/gpu/ops/matmul.ts';
import { PipelineCache } from '../workers/compute/gpu/pipelines.ts';
import { allocateActivations, makeState, measureBest, run, upload } from '../workers/compute/gpu/testing.ts';
import { defaultKernels } from '../workers/compute/gpu/variants/kernel-variants.ts';
import { layoutTensor, WEIGHT_TYPES, type WeightTypeName } from '../workers/format/weight-layout.ts';
import bareLoop from './bare-loop.wgsl?raw';

export interface Case {
  /** `matmul`; `experts`: gate, up and down for `tokens` assignments; `bare`: the f32 loop that is the baseline. */
  kernel: 'matmul' | 'experts' | 'bare';
  type: WeightTypeName;
  variant: MatrixVariant;
  rows: number;
  cols: number;
  tokens: number;
}

export interface Timing {
  milliseconds: number;
  /** Multiplications and additions. */
  gigaflops: number;
  /** Counts each weight once, however often the kernel reads it. */
  gigabytesPerSecond: number;
  /** Time of the first call, including the compilation unless the same pipeline was compiled before. */
  firstMilliseconds: number;
}

const adapter = await requestAdapter();
const device = await requestDevice(adapter);
const pipelines = new PipelineCache(device);
const failures: string[] = [];
device.onuncapturederror = ({ error }) => void failures.push(error.message);

/** Bytes that are not NaN, infinity or subnormal in any weight type. Their values do not matter. */
function weightBytes(bytes: number): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i++) data[i] = 16 + ((i * 37) % 43);
  return data;
}

function bareDispatch({ rows, cols }: Case, buffers: Slice[]): Dispatch[] {
  const weights = upload(device, new Float32Array(weightBytes(rows * cols * 4).buffer));
  const input = upload(device, new Float32Array(cols).fill(1));
  const output = allocateActivations(device, 1, rows).slice;
  buffers.push(weights, input, output);
  const kernel = { name: 'bare loop', code: [bareLoop] };
  return [
    pipelines.dispatch(kernel, { ROWS: rows, COLS: cols }, [weights, input, output], [Math.ceil(rows / 64), 1, 1]),
  ];
}

function matmulDispatch(ctx: OpContext, { type, rows, cols, tokens }: Case, buffers: Slice[]): Dispatch[] {
  const layout = layoutTensor('w', WEIGHT_TYPES[type], rows, cols, 0);
  const slice = upload(device, weightBytes(layout.bytes));
  const [input, output] = [allocateActivations(device, tokens, cols), allocateActivations(device, tokens, rows)];
  buffers.push(slice, input.slice, output.slice);
  return matmul(ctx, { matrix: { layout, slice }, input, output, maxTokens: tokens, label: 'bench' });
}

/** One expert with `tokens` assignments; `rows` is the feed-forward width. */
function expertDispatches(ctx: OpContext, { type, rows, cols, tokens }: Case, buffers: Slice[]): Dispatch[] {
  const gate = layoutTensor('gate', WEIGHT_TYPES[type], rows, cols, 0);
  const up = layoutTensor('up', WEIGHT_TYPES[type], rows, cols, gate.bytes);
  const downLayout = layoutTensor('down', WEIGHT_TYPES[type], cols, rows, 0);
  const gateUpStride = gate.bytes + up.bytes;
  const bank: ExpertBank = {
    firstSlot: 0,
    slots: 1,
    gate,
    up,
    downLayout,
    gateUpStride,
    downStride: downLayout.bytes,
    gateUp: upload(device, weightBytes(gateUpStride)),
    down: upload(device, weightBytes(downLayout.bytes)),
  };
  const words = new Uint32Array(GROUPS_HEADER_BYTES / 4 + tokens);
  words.set([0, 0, tokens, 0]);
  for (let p = 0; p < tokens; p++) words[GROUPS_HEADER_BYTES / 4 + p] = p;
  const groups = upload(device, words);
  const input = allocateActivations(device, tokens, cols);
  const [activations, output] = [allocateActivations(device, tokens, rows), allocateActivations(device, tokens, cols)];
  const routingWeights = upload(device, new Float32Array(tokens).fill(0.5));
  buffers.push(bank.gateUp, bank.down, groups, routingWeights, input.slice, activations.slice, output.slice);
  const shared = { bank, groups, groupCount: 1, maxAssignments: tokens, activations, label: 'bench' };
  return [
    ...expertGateUp(ctx, { ...shared, expertsPerToken: 1, input }),
    ...expertDown(ctx, { ...shared, routingWeights, output }),
  ];
}

async function time(which: Case): Promise<Timing> {
  const { kernel, type, rows, cols, tokens, variant } = which;
  const kernels = defaultKernels(variant === 'rows');
  const ctx: OpContext = { pipelines, variant, kernels, state: makeState(device, { tokenCount: tokens }) };
  const buffers = [ctx.state];
  const start = performance.now();
  const dispatches = {
    bare: () => bareDispatch(which, buffers),
    matmul: () => matmulDispatch(ctx, which, buffers),
    experts: () => expertDispatches(ctx, which, buffers),
  }[kernel]();
  await run(device, () => dispatches);
  const firstMilliseconds = performance.now() - start;
  const milliseconds = await measureBest(device, dispatches);
  for (const { buffer } of buffers) buffer.destroy();
  if (failures.length > 0) throw new Error(failures.join('\n'));
  const matrices = kernel === 'experts' ? 3 : 1;
  const weights = rows * cols * matrices;
  const { blockBytes, blockWeights } = WEIGHT_TYPES[type];
  return {
    milliseconds,
    firstMilliseconds,
    gigaflops: (2 * weights * tokens) / milliseconds / 1e6,
    gigabytesPerSecond: ((weights / blockWeights) * blockBytes) / milliseconds / 1e6,
  };
}

export interface BenchPage {
  adapter(): ReturnType<typeof reportAdapter>;
  time(which: Case): Promise<Timing>;
}

(globalThis as unknown as { bench: BenchPage }).bench = { adapter: () => reportAdapter(adapter), time };
