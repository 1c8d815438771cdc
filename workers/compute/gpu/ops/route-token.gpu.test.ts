/** Compares the router of a token, in one kernel and in steps, with float64 and with the rules of selection. */
import { describe, expect, it } from 'vitest';
import { dequantize } from '../../../format/quantization/dequantize.ts';
import { HALF_SCALES } from '../../../format/quantization/finite.ts';
import { ggufBytes, repackTensor } from '../../../format/quantization/repack.ts';
import { layoutTensor, WEIGHT_TYPES, type WeightTypeName } from '../../../format/weight-layout.ts';
import { matvec } from '../../../reference/matmul.ts';
import { rmsNorm } from '../../../reference/norm.ts';
import { noisyOrder, route } from '../../../reference/router.ts';
import { compare, TOLERANCE } from '../../../reference/tolerance.ts';
import { noiseStep } from '../../router-noise.ts';
import { decodeStepState } from '../step-state.ts';
import {
  allocate,
  allocateActivations,
  getTestDevice,
  makeContext,
  randomNormal,
  readActivations,
  readBack,
  run,
  type StateValues,
  seededRandom,
  upload,
  uploadActivations,
} from '../testing.ts';
import type { KernelChoice } from '../variants/kernel-variants.ts';
import { GROUPS_HEADER_BYTES, NO_SLOT } from './context.ts';
import { type RouteTokenArgs, routeToken } from './route-token.ts';

type Variant = KernelChoice['between'];
const VARIANTS: Variant[] = ['separate', 'fused'];

interface Case extends StateValues {
  variant: Variant;
  type?: WeightTypeName;
  /** The bytes of the router matrix as in a GGUF file. */
  source: Uint8Array;
  residual: Float32Array;
  normWeight: Float32Array;
  expertCount: number;
  expertsPerToken: number;
  epsilon?: number;
  mode?: RouteTokenArgs['mode'];
  layer?: number;
  slotTable?: Uint32Array;
}

async function routeOne(one: Case) {
  const { variant, type = 'F32', source, residual, normWeight, expertCount, expertsPerToken, ...rest } = one;
  const { epsilon = 1e-5, mode = 'decode', layer = 0, slotTable = new Uint32Array(64), ...state } = rest;
  const gpu = await getTestDevice();
  const ctx = await makeContext('workgroup', state, { between: variant });
  const width = residual.length;
  const layout = layoutTensor('router', WEIGHT_TYPES[type], expertCount, width, 0);
  const record = new Uint8Array(layout.bytes);
  repackTensor(source, layout, record);
  const selectedExperts = upload(gpu, new Uint32Array(expertsPerToken).fill(99));
  const routingWeights = allocate(gpu, expertsPerToken * 4);
  const groups = upload(gpu, new Uint32Array(GROUPS_HEADER_BYTES / 4 + expertsPerToken).fill(77));
  const normed = allocateActivations(gpu, 1, width);
  const logits = allocateActivations(gpu, 1, expertCount);
  const args: RouteTokenArgs = {
    residual: uploadActivations(gpu, residual, width),
    normWeight: upload(gpu, normWeight),
    matrix: { layout, slice: upload(gpu, record) },
    normed,
    logits,
    width,
    epsilon,
    expertCount,
    expertsPerToken,
    mode,
    layer,
    selectedExperts,
    routingWeights,
    slotTable: upload(gpu, slotTable),
    groups,
    label: 'test',
  };
  await run(gpu, () => routeToken(ctx, args));
  const words = await readBack(gpu, groups, Uint32Array);
  return {
    dispatches: routeToken(ctx, args).length,
    normed: await readActivations(gpu, normed, 1, width),
    padding: (await readBack(gpu, normed.slice, Float32Array)).subarray(width),
    logits: await readActivations(gpu, logits, 1, expertCount),
    selectedExperts: [...(await readBack(gpu, selectedExperts, Uint32Array)).subarray(0, expertsPerToken)],
    weights: (await readBack(gpu, routingWeights, Float32Array)).subarray(0, expertsPerToken),
    groups: [...words.subarray(0, expertsPerToken * 4)],
    assignments: [...words.subarray(GROUPS_HEADER_BYTES / 4, GROUPS_HEADER_BYTES / 4 + expertsPerToken)],
    stalled: decodeStepState((await readBack(gpu, ctx.state, Uint32Array)).buffer).stalled,
  };
}

/** Random bytes of a router matrix whose scales, or whose weights if they are floats, are ordinary numbers. */
function randomSource(type: WeightTypeName, rows: number, cols: number, random: () => number): Uint8Array {
  const { blockBytes } = WEIGHT_TYPES[type];
  if (type === 'F32') return new Uint8Array(randomNormal(random, rows * cols).buffer);
  const bytes = new Uint8Array(ggufBytes(WEIGHT_TYPES[type], rows, cols)).map(() => random() * 256);
  const view = new DataView(bytes.buffer);
  const half = () => 0x2000 + random() * 0x1000;
  if (type === 'F16') for (let i = 0; i < rows * cols; i++) view.setUint16(i * 2, half(), true);
  if (type === 'BF16') for (let i = 0; i < rows * cols; i++) view.setUint16(i * 2, 0x3e00 + random() * 0x200, true);
  const offsets: Partial<Record<WeightTypeName, readonly number[]>> = HALF_SCALES;
  for (let at = 0; at + blockBytes <= bytes.length; at += blockBytes) {
    for (const offset of offsets[type] ?? []) view.setUint16(at + offset, half(), true);
  }
  return bytes;
}

/**
 * A token whose router logits are exactly these: its residual is 1 everywhere, the norm keeps only column 0, and that
 * column of the matrix holds the logits.
 */
const withLogits = (logits: readonly number[]) => {
  const matrix = new Float32Array(logits.length * 32);
  logits.forEach((logit, expert) => {
    matrix[expert * 32] = logit;
  });
  return {
    source: new Uint8Array(matrix.buffer),
    residual: new Float32Array(32).fill(1),
    normWeight: Float32Array.from({ length: 32 }, (_, c) => (c === 0 ? 1 : 0)),
    expertCount: logits.length,
    epsilon: 0,
  };
};

describe.each(VARIANTS)('routeToken, variant %s', (variant) => {
  it.each<[WeightTypeName, number, number, number]>([
    ['F32', 256, 8, 2],
    ['F32', 61, 5, 3],
    ['F16', 200, 8, 2],
    ['BF16', 36, 60, 4],
    ['Q8_0', 4096, 8, 2],
    ['Q6_K', 768, 300, 8],
    ['IQ4_XS', 256, 16, 16],
    ['IQ2_XXS', 512, 2, 1],
  ])('%s of width %i, %i experts, %i used, agrees with float64', async (type, width, expertCount, expertsPerToken) => {
    const random = seededRandom(width + expertCount);
    const source = randomSource(type, expertCount, width, random);
    const residual = randomNormal(random, width, 3);
    const normWeight = randomNormal(random, width, 0.01); // small logits, so that no weight is 0
    const shape = { variant, type, source, residual, normWeight, expertCount, expertsPerToken };
    const slotTable = Uint32Array.from({ length: expertCount }, (_, expert) => 3 * expert);
    const actual = await routeOne({ ...shape, slotTable });
    const normed = rmsNorm(residual, normWeight, width, 1e-5);
    expect(compare(actual.normed, normed, TOLERANCE.reduction)).toBeNull();
    expect(actual.padding.every((value) => value === 0)).toBe(true);
    expect(compare(actual.logits, matvec(dequantize(type, source), normed), TOLERANCE.reduction)).toBeNull();
    const want = route(actual.logits, expertsPerToken);
    expect(actual.selectedExperts).toEqual(want.selectedExperts);
    expect(compare(actual.weights, want.weights, TOLERANCE.softmax)).toBeNull();
    expect(actual.groups).toEqual(want.selectedExperts.flatMap((expert, k) => [3 * expert, k, 1, 0]));
    expect(actual.assignments).toEqual(want.selectedExperts.map((_, k) => k));
    // The grid of an IQ2 type needs the binding that the fused kernel does not have.
    expect(actual.dispatches).toBe(variant === 'fused' && type !== 'IQ2_XXS' ? 1 : 3);
  });

  it('prefers the lower index of equal logits, and ranks NaN last and infinities in order', async () => {
    const { NaN: nan, NEGATIVE_INFINITY: low, POSITIVE_INFINITY: high } = Number;
    const ties = await routeOne({ variant, ...withLogits([-1, 2, 2, -0, 0, 2, -1, 2]), expertsPerToken: 6 });
    expect(ties.selectedExperts).toEqual([1, 2, 5, 7, 3, 4]);
    const odd = await routeOne({ variant, ...withLogits([nan, -3, low, 2, high, nan]), expertsPerToken: 5 });
    expect(odd.selectedExperts).toEqual([4, 3, 1, 2, 0]);
  });

  it.each(['select', 'decode'] as const)('stalls in mode decode only if an expert is missing: %s', async (mode) => {
    const slotTable = Uint32Array.from([0, 0, 0, 0, 1, 2, 3, NO_SLOT]);
    const routed = await routeOne({
      variant,
      ...withLogits([0, 5, 1, 4]),
      expertsPerToken: 2,
      mode,
      layer: 1,
      slotTable,
    });
    expect(routed.selectedExperts).toEqual([1, 3]);
    expect(routed.stalled).toBe(mode === 'decode' ? 2 : 0);
    expect(routed.groups).toEqual(mode === 'decode' ? [2, 0, 1, 0, NO_SLOT, 1, 1, 0] : new Array(8).fill(77));
  });

  it('applies the ablations and the lossy options', async () => {
    const logits = withLogits([0, 5, 1, 4, 3, 2, 0, 0]);
    const with4 = { variant, ...logits, expertsPerToken: 4 };
    expect((await routeOne({ ...with4, banned: [0b1010] })).selectedExperts).toEqual([4, 5, 2, 0]);
    expect((await routeOne({ ...with4, expertsUsed: 2 })).selectedExperts).toEqual([1, 3, 1, 1]);
    expect((await routeOne({ ...with4, skipBelow: 0.2 })).selectedExperts).toEqual([1, 3, 1, 1]);
    const slotTable = new Uint32Array(8).fill(NO_SLOT).fill(3, 6);
    const biased = await routeOne({ ...with4, mode: 'select', residentBias: 10, slotTable });
    expect(biased.selectedExperts).toEqual([6, 7, 1, 3]);
    expect((await routeOne({ ...with4, choicesSkipped: 2, expertsUsed: 1 })).selectedExperts).toEqual([4, 4, 4, 4]);
    const standIns = [0, 3 << 8]; // of expert 5, expert 2
    expect((await routeOne({ ...with4, replaces: 1, standIns })).selectedExperts).toEqual([1, 3, 4, 2]);
    const noise = { noiseStep: noiseStep(3), noiseSeed: 9, position: 5, layer: 3, slotTable: new Uint32Array(32) };
    expect((await routeOne({ ...with4, ...noise })).selectedExperts).toEqual(
      noisyOrder([0, 5, 1, 4, 3, 2, 0, 0], { amount: 3, seed: 9, layer: 3, position: 5 }).slice(0, 4),
    );
    const drawn = { random: 1, randomSeed: 5, position: 9, layer: 3 } as const;
    const both = await Promise.all(
      VARIANTS.map((each) => routeOne({ ...with4, ...drawn, variant: each, slotTable: new Uint32Array(32) })),
    );
    expect(both[0].selectedExperts).toEqual(both[1].selectedExperts);
    expect(both[0].selectedExperts).not.toEqual([1, 3, 4, 5]);
  });

  it('does nothing when stalled', async () => {
    const routed = await routeOne({ variant, ...withLogits([0, 5, 1, 4]), expertsPerToken: 2, stalled: 3 });
    expect([routed.selectedExperts, routed.stalled]).toEqual([[99, 99], 3]);
    expect([...routed.normed, ...routed.logits].every((value) => value === 0)).toBe(true);
  });
});
