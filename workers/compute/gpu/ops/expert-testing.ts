/** Random experts in a bank, and the check of their kernels against float64. */
import { expect } from 'vitest';
import type { WeightTypeName } from '../../../format/weight-layout.ts';
import {
  allocateActivations,
  getTestDevice,
  makeContext,
  randomNormal,
  readActivations,
  run,
  seededRandom,
  upload,
  uploadActivations,
} from '../testing.ts';
import type { KernelChoice } from '../variants/kernel-variants.ts';
import { type ExpertBank, GROUPS_HEADER_BYTES, type MatrixVariant, NO_SLOT } from './context.ts';
import { expertDown } from './expert-down.ts';
import { expertGateUp } from './expert-gate-up.ts';
import { expectActivations, expectClose, reference, type Sample, sample } from './matrix-testing.ts';

const EXPERTS_PER_TOKEN = 2;
/** The bank of {@link createExperts} holds slots 4 .. 6 of its layer. */
const FIRST_SLOT = 4;

/** A batch of tokens, its work list, and what is computed. */
export interface ExpertBatch {
  tokens: number;
  /** Four words per group: see MAX_GROUPS in context.ts. */
  headers: readonly number[];
  assignments: readonly number[];
  maxAssignments: number;
  /** The expert (index in its bank) of each assignment that is computed. */
  done: ReadonlyMap<number, number>;
}

/**
 * A prompt: slot 6 has one assignment, slot 2 is in another bank, slot 5 has none, slot 4 has six, and one expert is
 * missing.
 */
export const PROMPT: ExpertBatch = {
  tokens: 5,
  headers: [6, 0, 1, 0, 2, 1, 1, 0, 5, 2, 0, 0, 4, 2, 6, 0, NO_SLOT, 8, 2, 0],
  assignments: [9, 0, 1, 2, 3, 4, 5, 8, 6, 7],
  maxAssignments: 6,
  done: new Map([[9, 2], ...[1, 2, 3, 4, 5, 8].map((p) => [p, 0] as const)]),
};

/** A prompt whose experts have one assignment more or less than fills tiles of 64, in an order that is not that of tokens. */
export const PROMPT_OF_TILES: ExpertBatch = promptOf([
  [6, 65],
  [4, 129],
  [5, 63],
]);

/** @param sizes slots of the bank of {@link createExperts}, with their numbers of assignments */
function promptOf(sizes: readonly (readonly [slot: number, count: number])[]): ExpertBatch {
  const total = sizes.reduce((sum, [, count]) => sum + count, 0);
  const tokens = Math.ceil(total / EXPERTS_PER_TOKEN);
  const step = 101; // a prime that does not divide the number of assignments
  const assignments = Array.from({ length: total }, (_, i) => (i * step) % (tokens * EXPERTS_PER_TOKEN));
  const headers: number[] = [];
  const done = new Map<number, number>();
  let first = 0;
  for (const [slot, count] of sizes) {
    headers.push(slot, first, count, 0);
    for (const p of assignments.slice(first, first + count)) done.set(p, slot - FIRST_SLOT);
    first += count;
  }
  return { tokens, headers, assignments, maxAssignments: Math.max(...sizes.map(([, count]) => count)), done };
}

/** A token in decode: one assignment per expert. */
export const ONE_TOKEN: ExpertBatch = {
  tokens: 1,
  headers: [5, 0, 1, 0, 4, 1, 1, 0],
  assignments: [0, 1],
  maxAssignments: 1,
  done: new Map([
    [0, 1],
    [1, 0],
  ]),
};

/** A token in decode, of whose experts one is in another bank. */
export const ONE_TOKEN_OF_TWO_BANKS: ExpertBatch = {
  ...ONE_TOKEN,
  headers: [5, 0, 1, 0, 9, 1, 1, 0],
  done: new Map([[0, 1]]),
};

interface CheckOptions {
  variant: MatrixVariant;
  kernels?: Partial<KernelChoice>;
  /** Decides which variant is used; default: by the batch. */
  typicalAssignments?: number;
  stalled?: number;
}

type Expert = Record<'gate' | 'up' | 'down', Sample>;

/** Three random experts [ffn, dim], and a function that checks gate, up and down of a batch. */
export async function createExperts(
  [gateType, upType, downType]: readonly [WeightTypeName, WeightTypeName, WeightTypeName],
  dim: number,
  ffn: number,
) {
  const random = seededRandom(13);
  const experts = Array.from({ length: 3 }, () => {
    const gate = sample(gateType, ffn, dim, random);
    const up = sample(upType, ffn, dim, random, gate.layout.bytes);
    return { gate, up, down: sample(downType, dim, ffn, random) };
  });
  const bank = await uploadBank(experts);
  return {
    check: (batch: ExpertBatch, options: CheckOptions) =>
      checkExperts({ bank, experts, dim, ffn, random }, batch, options),
  };
}

async function uploadBank(experts: readonly Expert[]): Promise<ExpertBank> {
  const gpu = await getTestDevice();
  const [{ gate, up, down }] = experts;
  const gateUpStride = up.record.length;
  const downStride = down.record.length;
  const gateUp = new Uint8Array(experts.length * gateUpStride);
  const downs = new Uint8Array(experts.length * downStride);
  for (const [slot, expert] of experts.entries()) {
    gateUp.set(expert.up.record, slot * gateUpStride);
    gateUp.set(expert.gate.record, slot * gateUpStride);
    downs.set(expert.down.record, slot * downStride);
  }
  return {
    firstSlot: FIRST_SLOT,
    slots: experts.length,
    gateUp: upload(gpu, gateUp),
    gateUpStride,
    down: upload(gpu, downs),
    downStride,
    gate: gate.layout,
    up: up.layout,
    downLayout: down.layout,
  };
}

interface Setup {
  bank: ExpertBank;
  experts: readonly Expert[];
  dim: number;
  ffn: number;
  random: () => number;
}

async function checkExperts(setup: Setup, batch: ExpertBatch, options: CheckOptions): Promise<void> {
  const { dim, random } = setup;
  const assignmentCount = batch.tokens * EXPERTS_PER_TOKEN;
  const x = randomNormal(random, batch.tokens * dim, 0.05);
  // Assignment 1 is skipped, so its weight is 0. The content of its row must not matter.
  const weights = Float32Array.from({ length: assignmentCount }, (_, p) => (p === 1 ? 0 : 0.1 + random()));
  const results = await computeExperts(setup, batch, options, x, weights);
  for (let p = 0; p < assignmentCount; p++) compareAssignment(setup, batch, results, p, x, weights[p]);
}

/** Runs gate, up and down: f32[assignments, ffn] and f32[assignments, dim]. */
async function computeExperts(
  { bank, dim, ffn }: Setup,
  { tokens, headers, assignments, maxAssignments, done }: ExpertBatch,
  { variant, kernels, typicalAssignments, stalled = 0 }: CheckOptions,
  x: Float32Array,
  weights: Float32Array,
) {
  const gpu = await getTestDevice();
  const activations = allocateActivations(gpu, weights.length, ffn);
  const output = allocateActivations(gpu, weights.length, dim);
  const ctx = await makeContext(variant, { tokenCount: tokens, stalled }, kernels);
  const words = new Uint32Array(GROUPS_HEADER_BYTES / 4 + assignments.length);
  words.set(headers);
  words.set(assignments, GROUPS_HEADER_BYTES / 4);
  const shared = {
    bank,
    groups: upload(gpu, words),
    groupCount: headers.length / 4,
    maxAssignments,
    typicalAssignments,
    activations,
    label: 'test',
  };
  const input = uploadActivations(gpu, x, dim);
  await run(gpu, () => expertGateUp(ctx, { ...shared, expertsPerToken: EXPERTS_PER_TOKEN, input }));
  const hidden = await readActivations(gpu, activations, weights.length, ffn);
  const { buffer } = activations.slice;
  gpu.queue.writeBuffer(buffer, activations.stride * 4, new Float32Array(ffn).fill(Number.NaN));
  if (done.has(1)) gpu.queue.writeBuffer(output.slice.buffer, output.stride * 4, new Float32Array(dim).fill(7));
  await run(gpu, () => expertDown(ctx, { ...shared, routingWeights: upload(gpu, weights), output }));
  return { hidden, out: await readActivations(gpu, output, weights.length, dim) };
}

/** Compares assignment p with float64; if it is not computed, its rows are zero. */
function compareAssignment(
  { experts, dim, ffn }: Setup,
  { done }: ExpertBatch,
  { hidden, out }: { hidden: Float32Array; out: Float32Array },
  p: number,
  x: Float32Array,
  weight: number,
): void {
  const slot = done.get(p);
  const actual = hidden.slice(p * ffn, (p + 1) * ffn);
  const result = out.slice(p * dim, (p + 1) * dim);
  if (slot === undefined) {
    expect(actual.every((v) => v === 0) && result.every((v) => v === 0)).toBe(true);
    return;
  }
  const token = Math.floor(p / EXPERTS_PER_TOKEN);
  expectActivations(actual, experts[slot], x.slice(token * dim, (token + 1) * dim));
  if (weight === 0) {
    expect(result.every((v) => v === 0)).toBe(true);
    return;
  }
  // The input of the reference for down is the activations of the GPU, so that only the error of down counts.
  const { values, magnitudes } = reference(experts[slot].down, actual);
  expectClose(result, {
    values: values.map((v) => v * weight),
    magnitudes: magnitudes.map((m) => m * weight),
  });
}
