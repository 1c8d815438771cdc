/** Checks of the matrix products: dense matrices and experts, in the weight types and shapes of a model. */
import { type Bytes, expertIndex } from '../../../../src/contract/ids.ts';
import { layoutTensor, type TensorLayout, WEIGHT_TYPES } from '../../../format/weight-layout.ts';
import { matmul as exactMatmul } from '../../../reference/matmul.ts';
import type { Slice } from '../dispatch.ts';
import { encodeGroups } from '../encode-groups.ts';
import type { ExpertBank, OpContext } from '../ops/context.ts';
import { embed } from '../ops/embed.ts';
import { expertDown } from '../ops/expert-down.ts';
import { expertGateUp } from '../ops/expert-gate-up.ts';
import { matmul } from '../ops/matmul.ts';
import { matrixFamily } from '../variants/matrix-variants.ts';
import { type Check, type CheckBuffers, columnsOf, isNear, pseudoRandom, randomFloats } from './check.ts';
import { type KnownRows, randomLastRows } from './random-rows.ts';

/** One token, a few, and more: each uses other variants. None fills a tile. */
const TOKENS = [1, 5, 11];
/** Larger matrices are checked with fewer rows, because memory may be short. */
export const MAX_MATRIX_BYTES: Bytes = 32e6;
const FEWER_ROWS = 40;

/** How a model uses matrices of a weight type. */
export interface DenseUse {
  layout: TensorLayout;
  /** Whether products are added to the output. */
  accumulate: boolean;
  /** Whether it is used for one token only, like the output matrix. */
  oneToken: boolean;
}

const tokensText = (tokens: number): string => (tokens === 1 ? 'one token' : `${tokens} tokens`);

/** The columns of a product that belong to known rows, `[inputs, rows]`. */
const productOf = ({ weights, count }: KnownRows, x: ArrayLike<number>, cols: number): Float64Array =>
  exactMatmul(weights, x, count, cols).values;

/** A matrix as it is checked. @param mostBytes a larger one has fewer rows */
function checkedLayout({ type, rows, cols, bytes }: TensorLayout, mostBytes: Bytes): TensorLayout {
  return layoutTensor('self-test', WEIGHT_TYPES[type], bytes > mostBytes ? Math.min(rows, FEWER_ROWS) : rows, cols, 0);
}

/**
 * Checks of the dense matrices of one type.
 * @param mostBytes a larger matrix is checked with fewer rows
 */
export function denseChecks(
  ctx: OpContext,
  buffers: CheckBuffers,
  use: DenseUse,
  mostBytes: Bytes = MAX_MATRIX_BYTES,
): Check[] {
  const { type, cols } = use.layout;
  const layout = checkedLayout(use.layout, mostBytes);
  const known = randomLastRows(layout, 1);
  const matrix = { layout, slice: buffers.allocate(layout.bytes) };
  writeRows(buffers, matrix.slice, 0, known);
  return (use.oneToken ? [1] : TOKENS).map((tokens) => {
    const x = randomFloats(pseudoRandom(tokens), tokens * cols);
    const input = buffers.activations(x, cols);
    const output = buffers.emptyActivations(tokens, layout.rows);
    const own = buffers.context(ctx, { tokenCount: tokens });
    const { accumulate } = use;
    return {
      name: `matrices in ${type}, ${tokensText(tokens)}`,
      family: matrixFamily(tokens),
      record: () => matmul(own, { matrix, input, output, maxTokens: tokens, accumulate, label: 'self-test' }),
      outputs: [output.slice],
      isRight: ([result]) =>
        isNear(columnsOf(result, output.stride, tokens, known.first, known.count), productOf(known, x, cols)),
    };
  });
}

/** The rows of some tokens of the embedding, or of its first part. @param mostBytes as of {@link denseChecks} */
export function embedChecks(
  ctx: OpContext,
  buffers: CheckBuffers,
  embedding: TensorLayout,
  mostBytes: Bytes = MAX_MATRIX_BYTES,
): Check[] {
  const { type, cols } = embedding;
  const layout = checkedLayout(embedding, mostBytes);
  const known = randomLastRows(layout, 2);
  const matrix = { layout, slice: buffers.allocate(layout.bytes) };
  writeRows(buffers, matrix.slice, 0, known);
  const tested = [known.count - 1, 0, known.count >> 1];
  const tokens = buffers.upload(Uint32Array.from(tested, (row) => known.first + row));
  const output = buffers.emptyActivations(tested.length, cols);
  const own = buffers.context(ctx, { tokenCount: tested.length });
  const expected = tested.flatMap((row) => [...known.weights.subarray(row * cols, (row + 1) * cols)]);
  return [
    {
      name: `embedding in ${type}`,
      record: () => embed(own, { matrix: [matrix], tokens, output, maxTokens: tested.length }),
      outputs: [output.slice],
      isRight: ([result]) => isNear(columnsOf(result, output.stride, tested.length, 0, cols), expected),
    },
  ];
}

function writeRows({ device }: CheckBuffers, slice: Slice, start: number, { pieces }: KnownRows): void {
  for (const { offset, bytes } of pieces) {
    device.queue.writeBuffer(slice.buffer, slice.offset + start + offset, bytes);
  }
}

/** An expert in a slot, of which some rows are known. */
interface KnownExpert {
  gate: KnownRows;
  up: KnownRows;
  down: KnownRows;
}

/**
 * Writes experts into the first slots of a bank. Nothing else has been loaded into them yet.
 * @returns one expert per slot
 */
function writeExperts(buffers: CheckBuffers, bank: ExpertBank): KnownExpert[] {
  return Array.from({ length: Math.min(2, bank.slots) }, (_, e) => {
    const gate = randomLastRows(bank.gate, 10 + e);
    const up = randomLastRows(bank.up, 20 + e);
    const down = randomLastRows({ ...bank.downLayout, offset: 0 }, 30 + e);
    writeRows(buffers, bank.gateUp, e * bank.gateUpStride + bank.gate.offset, gate);
    writeRows(buffers, bank.gateUp, e * bank.gateUpStride + bank.up.offset, up);
    writeRows(buffers, bank.down, e * bank.downStride, down);
    return { gate, up, down };
  });
}

/**
 * Checks of the experts in a bank. The down matrices get an input of their own, because only a few of the activations
 * that gate and up compute are known.
 * @param expertsPerToken assignments per token; the checks use up to two of them
 */
export function expertChecks(
  ctx: OpContext,
  buffers: CheckBuffers,
  bank: ExpertBank,
  expertsPerToken: number,
): Check[] {
  const experts = writeExperts(buffers, bank).slice(0, expertsPerToken);
  return TOKENS.flatMap((tokens) => {
    const groups = experts.map((_, e) => ({
      expert: expertIndex(e),
      assignments: Array.from({ length: tokens }, (_each, t) => t * expertsPerToken + e),
    }));
    const work = {
      bank,
      groups: buffers.upload(encodeGroups(groups, (expert) => bank.firstSlot + expert)),
      groupCount: experts.length,
      maxAssignments: tokens,
      label: 'self-test',
    };
    const shape = {
      ctx: buffers.context(ctx, { tokenCount: tokens }),
      buffers,
      experts,
      tokens,
      expertsPerToken,
      work,
    };
    return [gateUpCheck(shape), downCheck(shape)];
  });
}

interface ExpertShape {
  ctx: OpContext;
  buffers: CheckBuffers;
  experts: readonly KnownExpert[];
  tokens: number;
  expertsPerToken: number;
  work: Omit<Parameters<typeof expertDown>[1], 'activations' | 'routingWeights' | 'output'>;
}

const silu = (x: number): number => x / (1 + Math.exp(-x));

function gateUpCheck({ ctx, buffers, experts, tokens, expertsPerToken, work }: ExpertShape): Check {
  const { gate, up } = work.bank;
  const x = randomFloats(pseudoRandom(50 + tokens), tokens * gate.cols);
  const input = buffers.activations(x, gate.cols);
  const activations = buffers.emptyActivations(tokens * expertsPerToken, gate.rows);
  return {
    name: `experts in ${[...new Set([gate.type, up.type])].join(' and ')}, ${tokensText(tokens)}`,
    family: matrixFamily(tokens),
    record: () => expertGateUp(ctx, { ...work, expertsPerToken, input, activations }),
    outputs: [activations.slice],
    isRight: ([result]) =>
      experts.every((expert, e) => {
        const ups = productOf(expert.up, x, gate.cols);
        const expected = productOf(expert.gate, x, gate.cols).map((value, i) => silu(value) * ups[i]);
        return isNear(assigned(result, activations.stride, { e, tokens, expertsPerToken }, expert.gate), expected);
      }),
  };
}

function downCheck({ ctx, buffers, experts, tokens, expertsPerToken, work }: ExpertShape): Check {
  const { downLayout } = work.bank;
  const { cols } = downLayout;
  const count = tokens * expertsPerToken;
  const hidden = randomFloats(pseudoRandom(60 + tokens), count * cols);
  const weights = Float32Array.from({ length: count }, (_, p) => 0.2 + 0.1 * (p % 5));
  const activations = buffers.activations(hidden, cols);
  const output = buffers.emptyActivations(count, downLayout.rows);
  const routingWeights = buffers.upload(weights);
  return {
    name: `experts in ${downLayout.type}, ${tokensText(tokens)}`,
    family: matrixFamily(tokens),
    record: () => expertDown(ctx, { ...work, activations, routingWeights, output }),
    outputs: [output.slice],
    isRight: ([result]) =>
      experts.every(({ down }, e) => {
        const rowsOf = (t: number) => t * expertsPerToken + e;
        const expected = Array.from({ length: tokens }, (_, t) => {
          const x = hidden.subarray(rowsOf(t) * cols, (rowsOf(t) + 1) * cols);
          return [...productOf(down, x, cols)].map((value) => value * weights[rowsOf(t)]);
        });
        const actual = assigned(result, output.stride, { e, tokens, expertsPerToken }, down);
        return isNear(actual, expected.flat());
      }),
  };
}

/** What an expert wrote for each token into the columns of its known rows: `[tokens, known.count]`. */
function assigned(
  bytes: ArrayBuffer,
  stride: number,
  { e, tokens, expertsPerToken }: { e: number; tokens: number; expertsPerToken: number },
  { first, count }: KnownRows,
): Float32Array {
  return columnsOf(bytes, stride * expertsPerToken, tokens, e * stride + first, count);
}
