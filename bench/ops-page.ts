/**
 * The page of bench/ops.ts: times all kernels except the matrix kernels on the browser's adapter. The dispatches come
 * from the engine's own operations.
 */
import type { SamplingOptions } from '../src/contract/engine-api.ts';
import type { ModelConfig } from '../src/contract/import-api.ts';
import { reportAdapter, requestAdapter, requestDevice } from '../workers/compute/gpu/device.ts';
import type { Dispatch } from '../workers/compute/gpu/dispatch.ts';
import { attention, attentionScratchBytes } from '../workers/compute/gpu/ops/attention.ts';
import { combine } from '../workers/compute/gpu/ops/combine.ts';
import { GROUPS_HEADER_BYTES, type MatrixVariant, type OpContext } from '../workers/compute/gpu/ops/context.ts';
import { rmsNorm } from '../workers/compute/gpu/ops/rms-norm.ts';
import { ropeAndStore } from '../workers/compute/gpu/ops/rope-store.ts';
import { router } from '../workers/compute/gpu/ops/router.ts';
import {
  SAMPLE_RESULT_BYTES,
  sample,
  sampleScratchBytes,
  writeSampleParams,
} from '../workers/compute/gpu/ops/sample.ts';
import { PipelineCache } from '../workers/compute/gpu/pipelines.ts';
import {
  allocate,
  allocateActivations,
  makeState,
  measureBest,
  randomNormal,
  seededRandom,
  upload,
  uploadActivations,
} from '../workers/compute/gpu/testing.ts';
import { defaultKernels } from '../workers/compute/gpu/variants/kernel-variants.ts';
import { ropeTable } from '../workers/compute/rope-table.ts';

type Shape = Pick<
  ModelConfig,
  'embeddingLength' | 'headCount' | 'kvHeadCount' | 'headDim' | 'expertCount' | 'expertsPerToken' | 'vocabularySize'
>;

export interface Case extends Shape {
  tokens: number;
  /** Number of positions in the KV cache before the first token. */
  position: number;
  /** Size of the KV cache in positions. */
  capacity: number;
  variant: MatrixVariant;
}

export interface Timing {
  /** Name of the operation, or, indented, of one of its kernels. */
  name: string;
  milliseconds: number;
}

const adapter = await requestAdapter();
const device = await requestDevice(adapter);
const pipelines = new PipelineCache(device);
const failures: string[] = [];
device.onuncapturederror = ({ error }) => void failures.push(error.message);
const random = seededRandom(1);

/** Half-precision numbers of about 1 for all positions. */
const cacheOf = ({ capacity, kvHeadCount, headDim }: Case) =>
  upload(device, new Uint32Array((capacity * kvHeadCount * headDim) / 2).fill(0x3c013bff));

const rowsOf = (rows: number, width: number) => uploadActivations(device, randomNormal(random, rows * width), width);

function layerOperations(ctx: OpContext, one: Case): Record<string, Dispatch[]> {
  const { tokens, embeddingLength: width, headCount, kvHeadCount, headDim, expertCount, expertsPerToken } = one;
  const shared = { maxTokens: tokens, label: 'bench' };
  const heads = { ...shared, headCount, kvHeadCount, headDim, ropeDimensionCount: headDim, capacity: one.capacity };
  const caches = { keyCache: cacheOf(one), valueCache: cacheOf(one) };
  const q = rowsOf(tokens, headCount * headDim);
  return {
    'rms norm': rmsNorm(ctx, {
      ...shared,
      input: rowsOf(tokens, width),
      weight: upload(device, randomNormal(random, width)),
      output: allocateActivations(device, tokens, width),
      width,
      epsilon: 1e-5,
    }),
    'rope and store': ropeAndStore(ctx, {
      ...heads,
      ...caches,
      q,
      k: rowsOf(tokens, kvHeadCount * headDim),
      v: rowsOf(tokens, kvHeadCount * headDim),
      table: upload(device, ropeTable({ ropeDimensionCount: headDim, ropeFreqBase: 1e6 }, one.capacity)),
    }),
    attention: attention(ctx, {
      ...heads,
      ...caches,
      q,
      output: allocateActivations(device, tokens, headCount * headDim),
      scratch: allocate(device, attentionScratchBytes(ctx.kernels, heads)),
    }),
    router: router(ctx, {
      ...shared,
      logits: rowsOf(tokens, expertCount),
      expertCount,
      expertsPerToken,
      layer: 0,
      mode: tokens === 1 ? 'decode' : 'prefill',
      selectedExperts: allocate(device, tokens * expertsPerToken * 4),
      routingWeights: allocate(device, tokens * expertsPerToken * 4),
      slotTable: upload(device, new Uint32Array(expertCount)),
      groups: allocate(device, GROUPS_HEADER_BYTES + tokens * expertsPerToken * 4),
    }),
    combine: combine(ctx, {
      ...shared,
      sums: rowsOf(tokens, width),
      rows: rowsOf(tokens * expertsPerToken, width),
      rowsPerSum: expertsPerToken,
      width,
    }),
  };
}

function sampler(ctx: OpContext, { vocabularySize }: Case, options: SamplingOptions, topCount: number): Dispatch[] {
  return sample(ctx, {
    logits: rowsOf(1, vocabularySize),
    vocabularySize,
    params: upload(device, new Uint8Array(writeSampleParams(options, 1, topCount))),
    counts: allocate(device, vocabularySize * 4),
    bias: allocate(device, vocabularySize * 4),
    tokens: allocate(device, 4),
    result: allocate(device, SAMPLE_RESULT_BYTES),
    scratch: allocate(device, sampleScratchBytes(vocabularySize)),
  });
}

/** Times every operation, and each kernel of operations that have several. */
async function time(one: Case): Promise<Timing[]> {
  const state = makeState(device, { tokenCount: one.tokens, position: one.position });
  const kernels = defaultKernels(one.variant === 'rows');
  const ctx: OpContext = { pipelines, variant: one.variant, kernels, state };
  const timings: Timing[] = [];
  const add = async (name: string, dispatches: Dispatch[]): Promise<void> => {
    timings.push({ name, milliseconds: await measureBest(device, dispatches) });
    if (dispatches.length === 1) return;
    for (const label of new Set(dispatches.map((dispatch) => dispatch.label))) {
      const alike = dispatches.filter((dispatch) => dispatch.label === label);
      timings.push({ name: `  ${label.replace(' bench', '')}`, milliseconds: await measureBest(device, alike) });
    }
  };
  for (const [name, dispatches] of Object.entries(layerOperations(ctx, one))) await add(name, dispatches);
  if (one.tokens === 1) {
    // The sampler advances the position, so it has its own state.
    const own: OpContext = { ...ctx, state: makeState(device) };
    await add('sample greedy', sampler(own, one, { temperature: 0 }, 0));
    await add('sample greedy, top 5', sampler(own, one, { temperature: 0 }, 5));
    await add('sample at temperature', sampler(own, one, { temperature: 0.8 }, 0));
    await add(
      'sample top-k, top-p, min-p',
      sampler(own, one, { temperature: 0.8, topK: 40, topP: 0.95, minP: 0.05 }, 0),
    );
  }
  if (failures.length > 0) throw new Error(failures[0]);
  return timings;
}

export interface BenchPage {
  adapter(): ReturnType<typeof reportAdapter>;
  time: typeof time;
}
Object.assign(globalThis, { bench: { adapter: () => reportAdapter(adapter), time } satisfies BenchPage });
