/** The operations of a layer besides its matrix products, with buffers of their own: one call each. */
import type { SamplingOptions } from '../../src/contract/engine-api.ts';
import type { Dispatch, Slice } from '../compute/gpu/dispatch.ts';
import { attention, attentionScratchBytes } from '../compute/gpu/ops/attention.ts';
import { combine } from '../compute/gpu/ops/combine.ts';
import { combineAndNorm } from '../compute/gpu/ops/combine-norm.ts';
import { GROUPS_HEADER_BYTES, type OpContext } from '../compute/gpu/ops/context.ts';
import { rmsNorm } from '../compute/gpu/ops/rms-norm.ts';
import { ropeAndStore } from '../compute/gpu/ops/rope-store.ts';
import { routeToken } from '../compute/gpu/ops/route-token.ts';
import { router } from '../compute/gpu/ops/router.ts';
import { SAMPLE_RESULT_BYTES, sample, sampleScratchBytes, writeSampleParams } from '../compute/gpu/ops/sample.ts';
import { ropeTable } from '../compute/rope-table.ts';
import { layoutTensor, WEIGHT_TYPES } from '../format/weight-layout.ts';
import type { Buffers } from './buffers.ts';
import { fillRandom } from './random-weights.ts';
import type { MeasureShapes } from './shapes.ts';

/** A batch of tokens and where it is in the KV cache. */
export interface Batch {
  tokens: number;
  position: number;
}

/** Records one call. Buffers are shared by all variants. */
export type Operation = (ctx: OpContext) => Dispatch[];

/** Values between -1 and 1 that differ from place to place. */
const wave = (length: number): Float32Array => Float32Array.from({ length }, (_, i) => Math.sin(i * 0.7));

/** Half-precision numbers of about 1, two per word. */
const cache = (buffers: Buffers, { kvHeadCount, headDim }: MeasureShapes, capacity: number): Slice =>
  buffers.upload(new Uint32Array((capacity * kvHeadCount * headDim) / 2).fill(0x3c013bff));

/** Attention of a batch over the whole cache before it. */
export function attentionCall(buffers: Buffers, shapes: MeasureShapes, { tokens, position }: Batch): Operation {
  const { headCount, kvHeadCount, headDim } = shapes;
  const capacity = position + tokens;
  const heads = { headCount, kvHeadCount, headDim, capacity, maxTokens: tokens, label: 'measure' };
  const inputs = {
    q: buffers.uploadRows(wave(tokens * headCount * headDim), headCount * headDim),
    keyCache: cache(buffers, shapes, capacity),
    valueCache: cache(buffers, shapes, capacity),
    output: buffers.rows(tokens, headCount * headDim),
  };
  return (ctx) => {
    const scratch = buffers.allocate(attentionScratchBytes(ctx.kernels, heads));
    return attention(ctx, { ...heads, ...inputs, scratch });
  };
}

/** Everything else in a layer, by name. In decode, the last two have variants that are one kernel. */
export function layerCalls(buffers: Buffers, shapes: MeasureShapes, batch: Batch): Record<string, Operation> {
  return {
    'rms norm': normCall(buffers, shapes, batch),
    'rope and store': ropeCall(buffers, shapes, batch),
    router: routerCall(buffers, shapes, batch),
    combine: combineCall(buffers, shapes, batch),
    'norm, router matrix and router': routeTokenCall(buffers, shapes),
    'combine and next norm': combineNormCall(buffers, shapes),
  };
}

function normCall(buffers: Buffers, { embeddingLength: width }: MeasureShapes, { tokens }: Batch): Operation {
  const args = {
    input: buffers.uploadRows(wave(tokens * width), width),
    weight: buffers.upload(new Float32Array(width).fill(1)),
    output: buffers.rows(tokens, width),
    width,
    epsilon: 1e-5,
    maxTokens: tokens,
    label: 'measure',
  };
  return (ctx) => rmsNorm(ctx, args);
}

function ropeCall(buffers: Buffers, shapes: MeasureShapes, { tokens, position }: Batch): Operation {
  const { headCount, kvHeadCount, headDim } = shapes;
  const capacity = position + tokens;
  const args = {
    headCount,
    kvHeadCount,
    headDim,
    ropeDimensionCount: headDim,
    q: buffers.uploadRows(wave(tokens * headCount * headDim), headCount * headDim),
    k: buffers.uploadRows(wave(tokens * kvHeadCount * headDim), kvHeadCount * headDim),
    v: buffers.uploadRows(wave(tokens * kvHeadCount * headDim), kvHeadCount * headDim),
    table: buffers.upload(ropeTable({ ropeDimensionCount: headDim, ropeFreqBase: 1e6 }, capacity)),
    keyCache: cache(buffers, shapes, capacity),
    valueCache: cache(buffers, shapes, capacity),
    maxTokens: tokens,
    label: 'measure',
  };
  return (ctx) => ropeAndStore(ctx, args);
}

const routerArgs = (buffers: Buffers, { expertCount, expertsPerToken }: MeasureShapes, tokens: number) => ({
  logits: buffers.uploadRows(wave(tokens * expertCount), expertCount),
  expertCount,
  expertsPerToken,
  layer: 0,
  selectedExperts: buffers.allocate(tokens * expertsPerToken * 4),
  routingWeights: buffers.allocate(tokens * expertsPerToken * 4),
  slotTable: buffers.upload(new Uint32Array(expertCount)),
  groups: buffers.allocate(GROUPS_HEADER_BYTES + tokens * expertsPerToken * 4),
  label: 'measure',
});

function routerCall(buffers: Buffers, shapes: MeasureShapes, { tokens }: Batch): Operation {
  const mode = tokens === 1 ? ('decode' as const) : ('prefill' as const);
  const args = { ...routerArgs(buffers, shapes, tokens), maxTokens: tokens, mode };
  return (ctx) => router(ctx, args);
}

/** What routes a token from its residual. */
function routeTokenCall(buffers: Buffers, shapes: MeasureShapes): Operation {
  const { embeddingLength: width, expertCount } = shapes;
  const layout = layoutTensor('router', WEIGHT_TYPES.F32, expertCount, width, 0);
  const args = {
    ...routerArgs(buffers, shapes, 1),
    mode: 'decode' as const,
    residual: buffers.uploadRows(wave(width), width),
    normWeight: buffers.upload(new Float32Array(width).fill(1)),
    matrix: { layout, slice: buffers.upload(fillRandom(new Uint8Array(layout.bytes), layout)) },
    normed: buffers.rows(1, width),
    width,
    epsilon: 1e-5,
  };
  return (ctx) => routeToken(ctx, args);
}

function combineArgs(buffers: Buffers, { embeddingLength: width, expertsPerToken }: MeasureShapes, tokens: number) {
  return {
    sums: buffers.uploadRows(wave(tokens * width), width),
    rows: buffers.uploadRows(wave(tokens * expertsPerToken * width), width),
    rowsPerSum: expertsPerToken,
    width,
    maxTokens: tokens,
    label: 'measure',
  };
}

function combineCall(buffers: Buffers, shapes: MeasureShapes, { tokens }: Batch): Operation {
  const args = combineArgs(buffers, shapes, tokens);
  return (ctx) => combine(ctx, args);
}

/** What adds the experts' outputs of a token, and the norm of the next layer. */
function combineNormCall(buffers: Buffers, shapes: MeasureShapes): Operation {
  const { embeddingLength: width } = shapes;
  const args = {
    ...combineArgs(buffers, shapes, 1),
    weight: buffers.upload(new Float32Array(width).fill(1)),
    output: buffers.rows(1, width),
    epsilon: 1e-5,
  };
  return (ctx) => combineAndNorm(ctx, args);
}

/** The page's settings of a new chat, see `defaultGeneration`. */
export const CHAT_SAMPLING: SamplingOptions = {
  temperature: 0.8,
  topK: 40,
  topP: 0.95,
  minP: 0.05,
  repetitionPenalty: 1.1,
};

/** The seed of {@link sampleCall}. */
export const SAMPLE_SEED = 1;

/** The logits of {@link sampleCall}: `8 sin(0.7 i)`. */
export const sampleLogits = (vocabularySize: number): Float32Array => wave(vocabularySize).map((x) => 8 * x);

/** The sampler of {@link sampleLogits}. It advances the step state, so that needs to be one of its own. */
export function sampleCall(
  buffers: Buffers,
  shapes: MeasureShapes,
  options: SamplingOptions,
): Operation & { result: Slice; counts: Slice } {
  const { vocabularySize } = shapes;
  const args = {
    logits: buffers.uploadRows(sampleLogits(vocabularySize), vocabularySize),
    vocabularySize,
    params: buffers.upload(new Uint8Array(writeSampleParams(options, SAMPLE_SEED))),
    counts: buffers.allocate(vocabularySize * 4),
    bias: buffers.allocate(vocabularySize * 4),
    tokens: buffers.allocate(4),
    result: buffers.allocate(SAMPLE_RESULT_BYTES),
    scratch: buffers.allocate(sampleScratchBytes(vocabularySize)),
  };
  return Object.assign((ctx: OpContext) => sample(ctx, args), { result: args.result, counts: args.counts });
}
