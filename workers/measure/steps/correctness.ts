/**
 * Compares every kernel, in every variant that this adapter runs, with the same computation in float64. If one is wrong,
 * its speed means nothing, and neither do its answers.
 */
import { attention as attentionKernel, attentionScratchBytes } from '../../compute/gpu/ops/attention.ts';
import type { OpContext } from '../../compute/gpu/ops/context.ts';
import { matmul } from '../../compute/gpu/ops/matmul.ts';
import { rmsNorm } from '../../compute/gpu/ops/rms-norm.ts';
import { ropeAndStore } from '../../compute/gpu/ops/rope-store.ts';
import { SAMPLE_RESULT } from '../../compute/gpu/ops/sample.ts';
import { type Check, CheckBuffers } from '../../compute/gpu/self-test/check.ts';
import { embedChecks } from '../../compute/gpu/self-test/matrix-checks.ts';
import { combineChecks, promptChecks, routerChecks } from '../../compute/gpu/self-test/other-checks.ts';
import { findWrong } from '../../compute/gpu/self-test/self-test.ts';
import { encodeStepState } from '../../compute/gpu/step-state.ts';
import { ropeTable } from '../../compute/rope-table.ts';
import { layoutTensor, WEIGHT_TYPES, type WeightTypeName } from '../../format/weight-layout.ts';
import { attention } from '../../reference/attention.ts';
import { roundToHalf, unpackHalves } from '../../reference/half.ts';
import { matmul as exactMatmul, worstError } from '../../reference/matmul.ts';
import { rmsNorm as exactNorm } from '../../reference/norm.ts';
import { rope } from '../../reference/rope.ts';
import { candidates, draw, ranking, uniformOf } from '../../reference/sample.ts';
import { DOT_TOLERANCE, TOLERANCE } from '../../reference/tolerance.ts';
import { checkVariants, errorOf, numbers, type ReportError, randomMatrix } from '../check-variants.ts';
import { type Measurement, variantField } from '../measurement.ts';
import { CHAT_SAMPLING, type Operation, SAMPLE_SEED, sampleCall, sampleLogits } from '../operations.ts';
import { checkExperts } from './correctness-experts.ts';
import { checkNumbers } from './numbers.ts';

/** Sizes of the matrices: no multiple of any tile, and two blocks per row. */
const ROWS = 67;
const COLS = 512;
/** One token, one tile, and several tiles of which the last is not full. */
const TOKENS = [1, 4, 67];

/** Reports the error of every kernel, and whether all of them are right. */
export async function checkKernels(measurement: Measurement): Promise<void> {
  let correct = true;
  const report: ReportError = (name, variant, error) => {
    if (!(error <= 1)) correct = false;
    measurement.add({ name, ...variantField(variant), value: error, unit: 'of the allowed error' });
  };
  await checkNumbers(measurement, report);
  for (const type of measurement.shapes.checkedTypes) await checkMatrix(measurement, type, report);
  await checkExperts(measurement, report);
  await checkBetween(measurement, report);
  for (const tokens of [1, 5]) await checkAttention(measurement, tokens, report);
  await checkNorm(measurement, report);
  await checkRope(measurement, report);
  await checkSampler(measurement, report);
  measurement.correct = correct;
}

async function checkMatrix(measurement: Measurement, type: WeightTypeName, report: ReportError): Promise<void> {
  const { layout, weights, repackInto } = randomMatrix(type, ROWS, COLS, 'check');
  const record = new Uint8Array(layout.bytes);
  repackInto(record);
  await measurement.withBuffers(async (buffers) => {
    const slice = buffers.upload(record);
    for (const tokens of TOKENS) {
      const x = numbers(tokens * COLS, tokens);
      const expected = exactMatmul(weights, x, ROWS, COLS);
      const input = buffers.uploadRows(x, COLS);
      const output = buffers.rows(tokens, ROWS);
      await checkVariants(
        measurement,
        buffers,
        {
          name: `${type}, ${tokens} tokens`,
          state: { tokenCount: tokens },
          record: (ctx) => matmul(ctx, { matrix: { layout, slice }, input, output, maxTokens: tokens, label: 'check' }),
          outputs: [output.slice],
          error: async () => worstError(await buffers.readRows(output, tokens, ROWS), expected) / DOT_TOLERANCE,
        },
        report,
      );
    }
  });
}

async function checkAttention(measurement: Measurement, tokens: number, report: ReportError): Promise<void> {
  const shape = { headCount: 8, kvHeadCount: 2, headDim: 64 };
  const position = 300;
  const capacity = position + tokens;
  const width = shape.headCount * shape.headDim;
  const halves = (seed: number): Uint32Array =>
    Uint32Array.from({ length: (capacity * shape.kvHeadCount * shape.headDim) / 2 }, (_, i) => {
      const half = (n: number): number => 0x2c00 + (((n * 2654435761) >>> 19) % 0x1000) + (n % 3 === 0 ? 0x8000 : 0);
      return ((half(2 * i + seed) << 16) | half(2 * i + 1 + seed)) >>> 0;
    });
  const [keys, values] = [halves(1), halves(5000)];
  const q = numbers(tokens * width, 2);
  const expected = attention(q, unpackHalves(keys), unpackHalves(values), position, shape);
  await measurement.withBuffers(async (buffers) => {
    const output = buffers.rows(tokens, width);
    const args = {
      ...shape,
      capacity,
      maxTokens: tokens,
      q: buffers.uploadRows(q, width),
      keyCache: buffers.upload(keys),
      valueCache: buffers.upload(values),
      output,
      label: 'check',
    };
    await checkVariants(
      measurement,
      buffers,
      {
        name: `attention, ${tokens} tokens`,
        state: { tokenCount: tokens, position },
        record: (ctx) => {
          const scratch = buffers.allocate(attentionScratchBytes(ctx.kernels, args));
          return attentionKernel(ctx, { ...args, scratch });
        },
        outputs: [output.slice],
        error: async () => errorOf(await buffers.readRows(output, tokens, width), expected, TOLERANCE.softmax),
      },
      report,
    );
  });
}

async function checkNorm(measurement: Measurement, report: ReportError): Promise<void> {
  const width = 700;
  const [x, weights] = [numbers(3 * width, 4), numbers(width, 9)];
  await measurement.withBuffers(async (buffers) => {
    const [input, output] = [buffers.uploadRows(x, width), buffers.rows(3, width)];
    const weight = buffers.upload(weights);
    await checkVariants(
      measurement,
      buffers,
      {
        name: 'rms norm',
        state: { tokenCount: 3 },
        record: (ctx) => rmsNorm(ctx, { input, weight, output, width, epsilon: 1e-5, maxTokens: 3, label: 'check' }),
        outputs: [output.slice],
        error: async () =>
          errorOf(await buffers.readRows(output, 3, width), exactNorm(x, weights, width, 1e-5), TOLERANCE.reduction),
      },
      report,
    );
  });
}

/** Rotation, and the rounding of keys and values to f16: some GPUs round toward zero when they pack. */
async function checkRope(measurement: Measurement, report: ReportError): Promise<void> {
  const shape = { headCount: 4, kvHeadCount: 2, headDim: 64, ropeDimensionCount: 64, ropeFreqBase: 1e6 };
  const position = 777;
  const [qWidth, kvWidth] = [shape.headCount * shape.headDim, shape.kvHeadCount * shape.headDim];
  const [q, k, v] = [numbers(qWidth, 6), numbers(kvWidth, 7), numbers(kvWidth, 8)];
  await measurement.withBuffers(async (buffers) => {
    const table = buffers.upload(ropeTable(shape, position + 1));
    const caches = [0, 1].map(() => buffers.allocate((position + 1) * kvWidth * 2));
    const stored = async (slice: (typeof caches)[0]): Promise<Float64Array> => {
      const words = new Uint32Array(await buffers.read(slice)).subarray((position * kvWidth) / 2);
      return unpackHalves(words.subarray(0, kvWidth / 2));
    };
    const record: Operation = (ctx) =>
      ropeAndStore(ctx, {
        ...shape,
        q: buffers.uploadRows(q, qWidth),
        k: buffers.uploadRows(k, kvWidth),
        v: buffers.uploadRows(v, kvWidth),
        table,
        keyCache: caches[0],
        valueCache: caches[1],
        maxTokens: 1,
        label: 'check',
      });
    const state = { tokenCount: 1, position };
    const keys = async (): Promise<number> =>
      errorOf(await stored(caches[0]), rope(k, position, shape), TOLERANCE.half);
    await checkVariants(measurement, buffers, { name: 'rope', state, record, outputs: caches, error: keys }, report);
    const values = async (): Promise<number> => {
      const expected = [...v].map(roundToHalf);
      return (await stored(caches[1])).every((value, i) => value === expected[i]) ? 0 : Number.POSITIVE_INFINITY;
    };
    const name = 'rounding of values to f16';
    await checkVariants(measurement, buffers, { name, state, record, outputs: caches, error: values }, report);
  });
}

/** What is between the matrices: norm and router of a token, sums of expert outputs, and the same of a prompt. */
async function checkBetween(measurement: Measurement, report: ReportError): Promise<void> {
  const shape = { embeddingLength: 704, expertCount: 8, expertsPerToken: 2, rmsNormEpsilon: 1e-5 };
  const matrix = layoutTensor('check', WEIGHT_TYPES.F32, shape.expertCount, shape.embeddingLength, 0);
  const all: Record<string, (ctx: OpContext, buffers: CheckBuffers) => Check[]> = {
    router: (ctx, buffers) => routerChecks(ctx, buffers, shape, matrix),
    'sum of experts and norm': (ctx, buffers) => combineChecks(ctx, buffers, shape),
    'norm, router and sum of a prompt': (ctx, buffers) => promptChecks(ctx, buffers, shape),
    embedding: (ctx, buffers) => embedChecks(ctx, buffers, layoutTensor('check', WEIGHT_TYPES.Q4_K, 67, 512, 0)),
  };
  for (const [name, create] of Object.entries(all)) {
    const planned = new CheckBuffers(measurement.device);
    try {
      const record: Operation = (ctx) => create(ctx, planned).flatMap((check) => check.record());
      for (const { variant, ctx } of measurement.variantsOf(planned.upload(encodeStepState({})), record)) {
        const wrong = await findWrong(ctx, (buffers) => create(ctx, buffers));
        report(name, variant, wrong ? Number.POSITIVE_INFINITY : 0);
      }
    } finally {
      planned.destroy();
    }
  }
}

/** The likeliest token, and a draw with the settings of a chat: with them the variants take different ways. */
async function checkSampler(measurement: Measurement, report: ReportError): Promise<void> {
  const shapes = { ...measurement.shapes, vocabularySize: 3001 };
  const logits = sampleLogits(shapes.vocabularySize);
  const likeliest = ranking(logits)[0];
  const cut = candidates(logits, CHAT_SAMPLING); // no token has occurred that could be penalized
  const samplers = [
    { name: 'greedy sampler', options: { temperature: 0 }, expected: () => likeliest },
    {
      name: 'sampler of a chat',
      options: CHAT_SAMPLING,
      expected: (step: number) => draw(cut, uniformOf(SAMPLE_SEED, step)),
    },
  ];
  for (const { name, options, expected } of samplers) {
    await measurement.withBuffers(async (buffers) => {
      const record = sampleCall(buffers, shapes, options);
      const error = async (): Promise<number> => {
        const words = new Uint32Array(await buffers.read(record.result));
        const isRight = words[SAMPLE_RESULT.token] === expected(words[SAMPLE_RESULT.step]);
        return isRight ? 0 : Number.POSITIVE_INFINITY;
      };
      const outputs = [record.result, record.counts];
      await checkVariants(measurement, buffers, { name, state: { step: 3 }, record, outputs, error }, report);
    });
  }
}
