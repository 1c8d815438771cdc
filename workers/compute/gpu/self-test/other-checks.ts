/** Checks of attention, router, sampler and the sum of the experts. */
import type { SamplingOptions } from '../../../../src/contract/engine-api.ts';
import type { ModelConfig } from '../../../../src/contract/import-api.ts';
import { dequantize } from '../../../format/quantization/dequantize.ts';
import { layoutTensor, type TensorLayout, WEIGHT_TYPES } from '../../../format/weight-layout.ts';
import { attention as exactAttention } from '../../../reference/attention.ts';
import { roundToHalf, unpackHalves } from '../../../reference/half.ts';
import { matvec } from '../../../reference/matmul.ts';
import { rmsNorm as exactNorm } from '../../../reference/norm.ts';
import { rope } from '../../../reference/rope.ts';
import { route } from '../../../reference/router.ts';
import { candidates, draw, logProbabilities, ranking, uniformOf } from '../../../reference/sample.ts';
import { ropeTable } from '../../rope-table.ts';
import { attention, attentionScratchBytes } from '../ops/attention.ts';
import { combine } from '../ops/combine.ts';
import { combineAndNorm } from '../ops/combine-norm.ts';
import { GROUPS_HEADER_BYTES, type OpContext } from '../ops/context.ts';
import { rmsNorm } from '../ops/rms-norm.ts';
import { ropeAndStore } from '../ops/rope-store.ts';
import { routeToken } from '../ops/route-token.ts';
import { router } from '../ops/router.ts';
import { readSampleResult, SAMPLE_RESULT_BYTES, sample, sampleScratchBytes, writeSampleParams } from '../ops/sample.ts';
import { type Check, type CheckBuffers, columnsOf, isNear, pseudoRandom, randomFloats } from './check.ts';
import { randomMatrix } from './random-rows.ts';

/** Positions before the first token: more than a chunk of attention. */
const POSITION = 150;
const CAPACITY = 160;

/** Rotation, storing of keys and values, and attention over what is stored; for one token and for three. */
export function attentionChecks(ctx: OpContext, buffers: CheckBuffers, shape: ModelConfig): Check[] {
  return [1, 3].map((tokens) => {
    const random = pseudoRandom(tokens);
    const kvWidth = shape.kvHeadCount * shape.headDim;
    const width = shape.headCount * shape.headDim;
    const [q, k, v] = [width, kvWidth, kvWidth].map((each) => randomFloats(random, tokens * each));
    /** Numbers from 0.5 to 1 as f16, in pairs. */
    const pair = (): number => 0x38003800 + (random() + 1) * 0x1ff + (Math.floor((random() + 1) * 0x1ff) << 16);
    const stored = [0, 1].map(() => Uint32Array.from({ length: (POSITION * kvWidth) / 2 }, pair));
    const rotate = (data: Float32Array, rowWidth: number): Float64Array =>
      concatenated(tokens, rowWidth, (t) => rope(data.subarray(t * rowWidth, (t + 1) * rowWidth), POSITION + t, shape));
    const keys = [...unpackHalves(stored[0]), ...rotate(k, kvWidth).map(roundToHalf)];
    const values = [...unpackHalves(stored[1]), ...Float64Array.from(v).map(roundToHalf)];
    const expected = exactAttention(rotate(q, width), keys, values, POSITION, shape);
    const cache = (words: Uint32Array) => {
      const all = new Uint32Array((CAPACITY * kvWidth) / 2);
      all.set(words);
      return buffers.upload(all);
    };
    const [keyCache, valueCache] = stored.map(cache);
    const own = buffers.context(ctx, { tokenCount: tokens, position: POSITION });
    const onGpu = {
      q: buffers.activations(q, width),
      k: buffers.activations(k, kvWidth),
      v: buffers.activations(v, kvWidth),
    };
    const shared = { ...shape, keyCache, valueCache, capacity: CAPACITY, maxTokens: tokens, label: 'self-test' };
    const output = buffers.emptyActivations(tokens, width);
    const table = buffers.upload(ropeTable(shape, CAPACITY));
    const scratch = buffers.allocate(attentionScratchBytes(ctx.kernels, shared));
    return {
      name: 'attention',
      family: 'attention',
      record: () => [
        ...ropeAndStore(own, { ...shared, ...onGpu, table }),
        ...attention(own, { ...shared, q: onGpu.q, output, scratch }),
      ],
      outputs: [output.slice],
      isRight: ([result]) => isNear(columnsOf(result, output.stride, tokens, 0, width), expected),
    };
  });
}

function concatenated(count: number, width: number, row: (index: number) => Float64Array): Float64Array {
  const all = new Float64Array(count * width);
  for (let index = 0; index < count; index++) all.set(row(index), index * width);
  return all;
}

/** Norm, router and selection of a token. Experts with equal scores are no question: the scores are far apart. */
export function routerChecks(
  ctx: OpContext,
  buffers: CheckBuffers,
  { embeddingLength: width, expertCount, expertsPerToken, rmsNormEpsilon: epsilon }: RoutedShape,
  layout: TensorLayout,
): Check[] {
  const random = pseudoRandom(3);
  const [residual, normWeight] = [randomFloats(random, width), randomFloats(random, width)];
  const normed = exactNorm(residual, normWeight, width, epsilon);
  const { matrix, logits } = routerMatrix(buffers, layout, normed, expertsPerToken);
  const expected = route(logits, expertsPerToken);
  const selectedExperts = buffers.allocate(expertsPerToken * 4);
  const routingWeights = buffers.allocate(expertsPerToken * 4);
  const own = buffers.context(ctx, {});
  const args = {
    width,
    epsilon,
    expertCount,
    expertsPerToken,
    mode: 'decode' as const,
    layer: 0,
    residual: buffers.activations(residual, width),
    normWeight: buffers.upload(normWeight),
    matrix,
    normed: buffers.emptyActivations(1, width),
    logits: buffers.emptyActivations(1, expertCount),
    selectedExperts,
    routingWeights,
    slotTable: buffers.allocate(expertCount * 4),
    groups: buffers.allocate(GROUPS_HEADER_BYTES + expertsPerToken * 4),
    label: 'self-test',
  };
  return [
    {
      name: 'router',
      family: 'between',
      record: () => routeToken(own, args),
      outputs: [args.normed.slice, selectedExperts, routingWeights],
      isRight: ([normedBytes, experts, shares]) =>
        isNear(columnsOf(normedBytes, args.normed.stride, 1, 0, width), normed) &&
        expected.selectedExperts.every((expert, k) => new Uint32Array(experts)[k] === expert) &&
        isNear(new Float32Array(shares, 0, expertsPerToken), expected.weights),
    },
  ];
}

/** The least difference between scores that decide: a thousand times the error of a right kernel. */
const LEAST_MARGIN = 1e-3;

/**
 * A router matrix, and the scores that it gives to a token. The first `expertsPerToken` experts and the next one are far
 * apart. Of many experts two are always close, but the order of the others does not matter.
 */
export function routerMatrix(
  buffers: CheckBuffers,
  { type, rows, cols }: TensorLayout,
  normed: Float64Array,
  expertsPerToken: number,
) {
  const layout = layoutTensor('self-test', WEIGHT_TYPES[type], rows, cols, 0);
  for (let seed = 40; ; seed++) {
    const { source, packed } = randomMatrix(layout, seed);
    const logits = matvec(dequantize(type, source), normed);
    const sorted = [...logits].sort((a, b) => b - a).slice(0, expertsPerToken + 1);
    const clear = sorted.every((score, i) => i === 0 || sorted[i - 1] - score > LEAST_MARGIN);
    if (clear || seed === 60) return { matrix: { layout, slice: buffers.upload(packed) }, logits };
  }
}

const SAMPLING = { temperature: 0.8, topK: 40, topP: 0.95, minP: 0.05 };
const SEED = 7;
/** Clear favorites, so that neither a cut nor a draw is decided by the last bits. */
const FAVORITES = [9, 8.5, 8, 7.5, 7];

/** The likeliest tokens, and a draw with the cuts of the page's default settings. */
export function samplerChecks(ctx: OpContext, buffers: CheckBuffers, vocabularySize: number): Check[] {
  const random = pseudoRandom(11);
  const logits = randomFloats(random, vocabularySize).map((x) => 4 * x);
  for (const [i, logit] of FAVORITES.entries()) logits[Math.floor(((6 * i + 1) % 5) * 0.19 * vocabularySize)] = logit;
  const top = ranking(logits).slice(0, FAVORITES.length);
  const expected = logProbabilities(logits);
  const check = (options: SamplingOptions, id: number): Check => {
    const own = buffers.context(ctx, {});
    const result = buffers.allocate(SAMPLE_RESULT_BYTES);
    const args = {
      logits: buffers.activations(logits, vocabularySize),
      vocabularySize,
      params: buffers.upload(new Uint8Array(writeSampleParams(options, SEED, top.length))),
      counts: buffers.allocate(vocabularySize * 4),
      bias: buffers.allocate(vocabularySize * 4),
      tokens: buffers.allocate(4),
      result,
      scratch: buffers.allocate(sampleScratchBytes(vocabularySize)),
    };
    return {
      name: 'sampler',
      family: 'sampler',
      record: () => sample(own, args),
      outputs: [result],
      isRight: ([bytes]) => {
        const sampled = readSampleResult(bytes);
        return (
          sampled.id === id &&
          top.every((likely, i) => sampled.top[i]?.id === likely) &&
          isNear([sampled.logprob], [expected[id]])
        );
      },
    };
  };
  return [check({ temperature: 0 }, top[0]), check(SAMPLING, draw(candidates(logits, SAMPLING), uniformOf(SEED, 0)))];
}

/** What routing and sums need of a model. */
type RoutedShape = Pick<ModelConfig, 'embeddingLength' | 'expertCount' | 'expertsPerToken' | 'rmsNormEpsilon'>;

/** Tokens of {@link promptChecks}. */
const PROMPT_TOKENS = 3;

/**
 * The kernels between the matrices for several tokens. In decode other ones may take their place, which do several of
 * these steps at once. They have no variants.
 */
export function promptChecks(ctx: OpContext, buffers: CheckBuffers, shape: RoutedShape): Check[] {
  const own = buffers.context(ctx, { tokenCount: PROMPT_TOKENS });
  return [normCheck(own, buffers, shape), selectionCheck(own, buffers, shape), sumCheck(own, buffers, shape)];
}

function normCheck(own: OpContext, buffers: CheckBuffers, shape: RoutedShape): Check {
  const { embeddingLength: width, rmsNormEpsilon: epsilon } = shape;
  const random = pseudoRandom(17);
  const [x, weight] = [randomFloats(random, PROMPT_TOKENS * width), randomFloats(random, width)];
  const args = {
    input: buffers.activations(x, width),
    weight: buffers.upload(weight),
    output: buffers.emptyActivations(PROMPT_TOKENS, width),
    width,
    epsilon,
    maxTokens: PROMPT_TOKENS,
    label: 'self-test',
  };
  return {
    name: 'norm of a prompt',
    record: () => rmsNorm(own, args),
    outputs: [args.output.slice],
    isRight: ([bytes]) =>
      isNear(columnsOf(bytes, args.output.stride, PROMPT_TOKENS, 0, width), exactNorm(x, weight, width, epsilon)),
  };
}

/** The kernel compares the very scores that it gets, so they may be close. */
function selectionCheck(own: OpContext, buffers: CheckBuffers, { expertCount, expertsPerToken }: RoutedShape): Check {
  const logits = randomFloats(pseudoRandom(19), PROMPT_TOKENS * expertCount).map((x) => 4 * x);
  const expected = Array.from({ length: PROMPT_TOKENS }, (_, t) =>
    route(logits.subarray(t * expertCount, (t + 1) * expertCount), expertsPerToken),
  );
  const count = PROMPT_TOKENS * expertsPerToken;
  const args = {
    logits: buffers.activations(logits, expertCount),
    expertCount,
    expertsPerToken,
    layer: 0,
    maxTokens: PROMPT_TOKENS,
    mode: 'prefill' as const,
    selectedExperts: buffers.allocate(count * 4),
    routingWeights: buffers.allocate(count * 4),
    slotTable: buffers.allocate(expertCount * 4),
    groups: buffers.allocate(GROUPS_HEADER_BYTES + count * 4),
    label: 'self-test',
  };
  return {
    name: 'router of a prompt',
    record: () => router(own, args),
    outputs: [args.selectedExperts, args.routingWeights],
    isRight: ([experts, shares]) =>
      `${new Uint32Array(experts, 0, count)}` === `${expected.flatMap((one) => one.selectedExperts)}` &&
      isNear(
        new Float32Array(shares, 0, count),
        expected.flatMap(({ weights }) => weights),
      ),
  };
}

function sumCheck(own: OpContext, buffers: CheckBuffers, shape: RoutedShape): Check {
  const { embeddingLength: width, expertsPerToken } = shape;
  const random = pseudoRandom(23);
  const before = randomFloats(random, PROMPT_TOKENS * width);
  const outputs = randomFloats(random, before.length * expertsPerToken);
  const args = {
    sums: buffers.activations(before, width),
    rows: buffers.activations(outputs, width),
    rowsPerSum: expertsPerToken,
    width,
    maxTokens: PROMPT_TOKENS,
    label: 'self-test',
  };
  return {
    name: 'sum of the experts of a prompt',
    record: () => combine(own, args),
    outputs: [args.sums.slice],
    isRight: ([sums]) =>
      isNear(
        columnsOf(sums, args.sums.stride, PROMPT_TOKENS, 0, width),
        sumsOf(before, outputs, width, expertsPerToken),
      ),
  };
}

/** `before[t] + sum over k of outputs[t, k]`, rows of `width` values. */
const sumsOf = (before: Float32Array, outputs: Float32Array, width: number, expertsPerToken: number): Float64Array =>
  Float64Array.from(before, (value, i) => {
    const first = Math.floor(i / width) * expertsPerToken * width + (i % width);
    for (let k = 0; k < expertsPerToken; k++) value += outputs[first + k * width];
    return value;
  });

/** The sum of the outputs of a token's experts, and the norm of the next layer. */
export function combineChecks(
  ctx: OpContext,
  buffers: CheckBuffers,
  { embeddingLength: width, expertsPerToken, rmsNormEpsilon: epsilon }: RoutedShape,
): Check[] {
  const random = pseudoRandom(13);
  const [before, weight] = [randomFloats(random, width), randomFloats(random, width)];
  const outputs = randomFloats(random, expertsPerToken * width);
  const after = sumsOf(before, outputs, width, expertsPerToken);
  const own = buffers.context(ctx, {});
  const args = {
    sums: buffers.activations(before, width),
    rows: buffers.activations(outputs, width),
    rowsPerSum: expertsPerToken,
    weight: buffers.upload(weight),
    output: buffers.emptyActivations(1, width),
    width,
    epsilon,
    maxTokens: 1,
    label: 'self-test',
  };
  return [
    {
      name: 'sum of the experts and norm',
      family: 'between',
      record: () => combineAndNorm(own, args),
      outputs: [args.sums.slice, args.output.slice],
      isRight: ([sums, normed]) =>
        isNear(columnsOf(sums, args.sums.stride, 1, 0, width), after) &&
        isNear(columnsOf(normed, args.output.stride, 1, 0, width), exactNorm(after, weight, width, epsilon)),
    },
  ];
}
