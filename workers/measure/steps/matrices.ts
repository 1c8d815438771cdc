/** Matrix products: of one token, which memory bounds, and of prompts, which arithmetic bounds. */
import type { Dispatch, Slice } from '../../compute/gpu/dispatch.ts';
import type { ExpertBank, OpContext } from '../../compute/gpu/ops/context.ts';
import { expertDown } from '../../compute/gpu/ops/expert-down.ts';
import { expertGateUp } from '../../compute/gpu/ops/expert-gate-up.ts';
import { matmul } from '../../compute/gpu/ops/matmul.ts';
import { layoutTensor, WEIGHT_TYPES, type WeightTypeName } from '../../format/weight-layout.ts';
import type { Buffers } from '../buffers.ts';
import { type Measurement, shareOf, type VariantDispatches, variantField } from '../measurement.ts';
import { fillRandom } from '../random-weights.ts';
import type { MatrixShape } from '../shapes.ts';
import { workList } from '../work-list.ts';

/** A matrix product, recorded on several copies of the weights. */
interface Product {
  name: string;
  /** Bytes of weights that one call reads. */
  bytes: number;
  /** Multiplications and additions of one call. */
  flops: number;
  /** Records call number `copy`. */
  record: (ctx: OpContext, copy: number) => Dispatch[];
  copies: number;
}

/** All weight matrices of a token, in several types, with the share of the read bandwidth that each kernel reaches. */
export async function measureTokenMatrices(measurement: Measurement): Promise<void> {
  for (const type of measurement.shapes.types) {
    await eachProduct(measurement, type, 1, async (product, { variant }, milliseconds) => {
      const bytesPerSecond = (product.bytes / milliseconds) * 1000;
      measurement.add({
        name: product.name,
        ...variantField(variant),
        value: milliseconds * 1000,
        unit: 'us',
        ...shareOf(bytesPerSecond, measurement.bytesPerSecond),
      });
    });
  }
}

/** The matrices of prompts, with the share of the f32 rate that each kernel reaches. The first type only. */
export async function measurePromptMatrices(measurement: Measurement): Promise<void> {
  const { shapes } = measurement;
  const [type] = shapes.types;
  for (const tokens of [...shapes.promptTokens].reverse()) {
    await eachProduct(measurement, type, tokens, async (product, { variant }, milliseconds) => {
      const flops = (product.flops / milliseconds) * 1000;
      measurement.add({
        name: `${product.name}, ${tokens} tokens`,
        ...variantField(variant),
        value: milliseconds,
        unit: 'ms',
        ...shareOf(flops, measurement.flops),
      });
    });
  }
}

/** One matrix product with the fastest kernels, to see how much figures vary. */
export async function measureOneMatrix(measurement: Measurement): Promise<void> {
  const { shapes } = measurement;
  await measurement.withBuffers(async (buffers) => {
    const product = matrixProduct(measurement, buffers, shapes.matrices[0], shapes.types[0], 1);
    const milliseconds = await measurement.time(copiesOf(product, measurement.context(buffers.state({}))));
    measurement.add({
      name: product.name,
      value: milliseconds * 1000,
      unit: 'us',
      ...shareOf((product.bytes / milliseconds) * 1000, measurement.bytesPerSecond),
    });
  });
}

/** Times all products of one type with all variants. Output head and single-token shapes are left out of prompts. */
async function eachProduct(
  measurement: Measurement,
  type: WeightTypeName,
  tokens: number,
  report: (product: Product, variant: VariantDispatches, milliseconds: number) => Promise<void>,
): Promise<void> {
  const { shapes } = measurement;
  const matrices = tokens === 1 ? shapes.matrices : shapes.matrices.slice(0, 1);
  const builders = [
    (buffers: Buffers) => gateUpProduct(measurement, buffers, type, tokens),
    (buffers: Buffers) => downProduct(measurement, buffers, type, tokens),
    ...matrices.map((shape) => (buffers: Buffers) => matrixProduct(measurement, buffers, shape, type, tokens)),
  ];
  for (const build of builders) {
    if (measurement.isOver) return;
    await measurement.withBuffers(async (buffers) => {
      const product = build(buffers);
      const state = buffers.state({ tokenCount: tokens });
      for (const variant of measurement.variantsOf(state, (ctx) => product.record(ctx, 0))) {
        if (measurement.isOver) return;
        await report(product, variant, await measurement.time(copiesOf(product, variant.ctx)));
      }
    });
  }
}

const copiesOf = ({ copies, record }: Product, ctx: OpContext): Dispatch[][] =>
  Array.from({ length: copies }, (_, copy) => record(ctx, copy));

/** Copies of random weights on the GPU, as many as no cache holds, up to what one binding allows. */
function weightCopies(measurement: Measurement, buffers: Buffers, record: Uint8Array): Slice[] {
  const copies = measurement.copiesOf(record.byteLength);
  return Array.from({ length: copies }, () => buffers.upload(record));
}

function matrixProduct(
  measurement: Measurement,
  buffers: Buffers,
  { name, rows, cols }: MatrixShape,
  type: WeightTypeName,
  tokens: number,
): Product {
  const layout = layoutTensor('w', WEIGHT_TYPES[type], rows, cols, 0);
  const weights = weightCopies(measurement, buffers, fillRandom(new Uint8Array(layout.bytes), layout));
  const input = buffers.uploadRows(new Float32Array(tokens * cols).fill(1), cols);
  const output = buffers.rows(tokens, rows);
  return {
    name: `${name} ${rows}x${cols} ${type}`,
    bytes: layout.bytes,
    flops: 2 * rows * cols * tokens,
    copies: weights.length,
    record: (ctx, copy) =>
      matmul(ctx, { matrix: { layout, slice: weights[copy] }, input, output, maxTokens: tokens, label: 'measure' }),
  };
}

/** A layer's experts for `tokens` tokens, each of which selects as many experts as the model's. */
function expertsOf(measurement: Measurement, buffers: Buffers, type: WeightTypeName, tokens: number) {
  const { embeddingLength, feedForwardLength, expertCount, expertsPerToken } = measurement.shapes;
  const gate = layoutTensor('gate', WEIGHT_TYPES[type], feedForwardLength, embeddingLength, 0);
  const up = layoutTensor('up', WEIGHT_TYPES[type], feedForwardLength, embeddingLength, gate.bytes);
  const downLayout = layoutTensor('down', WEIGHT_TYPES[type], embeddingLength, feedForwardLength, 0);
  const used = tokens === 1 ? expertsPerToken : expertCount;
  const assignments = tokens * expertsPerToken;
  return {
    gate,
    up,
    downLayout,
    used,
    assignments,
    perExpert: assignments / used,
    groups: workList(buffers, used, assignments),
  };
}

/** One bank per call, with different weights if there is more than one. */
function bankOf(parts: Pick<ExpertBank, 'gate' | 'up' | 'downLayout'>, slots: number, memory: Slice): ExpertBank {
  return {
    ...parts,
    firstSlot: 0,
    slots,
    gateUp: memory,
    gateUpStride: parts.gate.bytes + parts.up.bytes,
    down: memory,
    downStride: parts.downLayout.bytes,
  };
}

/** Memory for `slots` matrices, each a copy of `record`; as many such memories as no cache holds. */
function slotMemories(measurement: Measurement, buffers: Buffers, record: Uint8Array, slots: number): Slice[] {
  const copies = measurement.copiesOf(record.byteLength * slots);
  return Array.from({ length: copies }, () => {
    const memory = buffers.allocate(record.byteLength * slots);
    for (let slot = 0; slot < slots; slot++) {
      measurement.device.queue.writeBuffer(
        memory.buffer,
        slot * record.byteLength,
        record.buffer as ArrayBuffer,
        record.byteOffset,
        record.byteLength,
      );
    }
    return memory;
  });
}

function gateUpProduct(measurement: Measurement, buffers: Buffers, type: WeightTypeName, tokens: number): Product {
  const { embeddingLength, feedForwardLength, expertsPerToken } = measurement.shapes;
  const { gate, up, downLayout, used, assignments, perExpert, groups } = expertsOf(measurement, buffers, type, tokens);
  const record = new Uint8Array(gate.bytes + up.bytes);
  fillRandom(fillRandom(record, gate), up);
  const memories = slotMemories(measurement, buffers, record, used);
  const input = buffers.uploadRows(new Float32Array(tokens * embeddingLength).fill(1), embeddingLength);
  const activations = buffers.rows(assignments, feedForwardLength);
  return {
    name: `gate+up of ${used} experts ${feedForwardLength}x${embeddingLength} ${type}`,
    bytes: record.byteLength * used,
    flops: 4 * feedForwardLength * embeddingLength * assignments,
    copies: memories.length,
    record: (ctx, copy) =>
      expertGateUp(ctx, {
        bank: bankOf({ gate, up, downLayout }, used, memories[copy]),
        groups,
        groupCount: used,
        maxAssignments: perExpert,
        expertsPerToken,
        input,
        activations,
        label: 'measure',
      }),
  };
}

function downProduct(measurement: Measurement, buffers: Buffers, type: WeightTypeName, tokens: number): Product {
  const { embeddingLength, feedForwardLength } = measurement.shapes;
  const { gate, up, downLayout, used, assignments, perExpert, groups } = expertsOf(measurement, buffers, type, tokens);
  const record = fillRandom(new Uint8Array(downLayout.bytes), downLayout);
  const memories = slotMemories(measurement, buffers, record, used);
  const activations = buffers.uploadRows(new Float32Array(assignments * feedForwardLength).fill(1), feedForwardLength);
  const output = buffers.rows(assignments, embeddingLength);
  const routingWeights = buffers.upload(new Float32Array(assignments).fill(0.5));
  return {
    name: `down of ${used} experts ${embeddingLength}x${feedForwardLength} ${type}`,
    bytes: record.byteLength * used,
    flops: 2 * feedForwardLength * embeddingLength * assignments,
    copies: memories.length,
    record: (ctx, copy) =>
      expertDown(ctx, {
        bank: bankOf({ gate, up, downLayout }, used, memories[copy]),
        groups,
        groupCount: used,
        maxAssignments: perExpert,
        activations,
        routingWeights,
        output,
        label: 'measure',
      }),
  };
}
