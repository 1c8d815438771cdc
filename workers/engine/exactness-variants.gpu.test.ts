/**
 * The whole engine with the kernel variants of GPUs, which software adapters do not choose by themselves. Each variant of
 * each family is forced at least once, in a thorough case or in a short answer, and fused kernels while experts are
 * missing.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Gpu } from '../compute/gpu/open-gpu.ts';
import { Pacing } from '../compute/gpu/pacing.ts';
import { PipelineCache } from '../compute/gpu/pipelines.ts';
import { defaultKernels, KERNEL_VARIANTS, type KernelChoice } from '../compute/gpu/variants/kernel-variants.ts';
import { BATCH_SHAPES } from '../compute/gpu/variants/matrix-variants.ts';
import { judge } from '../reference/judge.ts';
import { LOGPROB_TOLERANCE } from '../reference/tolerance.ts';
import { AdapterMemory } from '../store/adapter-memory.ts';
import { type ExactnessModel, TYPE_MODELS } from './exactness-models-testing.ts';
import { greedy, PROMPT, readReference, TOP } from './exactness-testing.ts';
import { expectExact } from './llama-cpp-testing.ts';
import { engineWith, GpuEngine, sharedGpu } from './testing.ts';

/** The weight type of a model, and the variants that compute it. `others`: those of norms and of the sampler. */
type Case = { type: string; others?: 'workgroup' } & KernelChoice;

const variants = (
  type: string,
  vector: Case['vector'],
  few: Case['few'],
  batch: Case['batch'],
  attention: Case['attention'],
  between: Case['between'],
  sampler: Case['sampler'],
): Case => ({ type, vector, few, batch, attention, between, sampler });

/**
 * Weights with and without minima, a grid, runs that share bytes, plain numbers. Software adapters compile the kernels of
 * a case for 20 to 50 seconds, so the suite runs the first two, and others in short answers.
 * `VITE_ALL_VARIANTS=1` runs all.
 */
const ALL_CASES: readonly Case[] = [
  variants('Q4_K', 'workgroup', 'workgroup', 'workgroup', 'flash', 'fused', 'blocks'),
  variants('Q8_0', 'staged-64x4', 'staged', 'tiled-64x32', 'flash', 'separate', 'single'),
  variants('IQ2_XXS', 'staged-256x2', 'workgroup', 'tiled-32x32', 'steps', 'fused', 'single'),
  variants('Q6_K', 'subgroup-64x4', 'staged', 'tiled-64x64', 'steps', 'separate', 'single'),
  variants('Q3_K', 'subgroup-32x4', 'staged', 'workgroup', 'flash', 'fused', 'single'),
  // Everything as on a GPU.
  { ...variants('F16', 'staged-32x8', 'workgroup', 'tiled-64x32', 'flash', 'fused', 'blocks'), others: 'workgroup' },
];

const SUITE = ALL_CASES.slice(0, 2);
const CASES = import.meta.env.VITE_ALL_VARIANTS ? ALL_CASES : SUITE;

/** What the suite forces in short answers: sums by subgroup operations, and the most rows per thread. */
const SHORT_CASES = [
  { ...defaultKernels(true), between: 'fused', vector: 'subgroup-32x4', batch: 'tiled-64x64' },
  { ...defaultKernels(true), between: 'fused', vector: 'staged-32x8', batch: 'tiled-64x64' },
] as const satisfies KernelChoice[];

/** Not forced in the suite: those of software adapters, and those whose code is that of others with other sizes. */
const NOT_IN_SUITE = new Set(['rows', 'steps', 'staged-256x2', 'subgroup-64x4', 'tiled-32x32']);

/**
 * The model of the short answers. Nearly all of their time is compiling, once per variant and shape. So the weights are
 * F32, which need the least code, and all matrices but the router have the same shape.
 */
const SHORT_MODEL: ExactnessModel = {
  ...TYPE_MODELS.F32,
  layers: 1,
  embeddingLength: 384,
  feedForwardLength: 384,
  headCount: 12,
  kvHeadCount: 12,
  vocabularySize: 384,
};
let forced: Partial<KernelChoice> = {};
let others: Case['others'];
/** Cuts work as for a slow GPU. */
let isSlow = false;
let isChecked = true;
let memory: AdapterMemory;
/**
 * Forces the variants, and compares them with float64 first, as on a GPU. Norms and the sampler are those of software
 * adapters in most cases, because the others take seconds there.
 */
function withForcedVariants(gpu: Gpu): Gpu {
  memory = new AdapterMemory('forced variants', 'mixtab-test-adapters');
  vi.spyOn(memory, 'get').mockResolvedValue(undefined);
  vi.spyOn(memory, 'set').mockResolvedValue();
  return {
    ...gpu,
    memory,
    checksKernels: isChecked && !isSlow,
    kernels: { ...gpu.kernels, ...forced },
    ...(others && { variant: others }),
    ...(isSlow && { pacing: slowPacing() }),
  };
}

// The device that other tests use, because it has compiled the kernels without variants.
const { adjust } = sharedGpu;
beforeAll(() => {
  sharedGpu.adjust = withForcedVariants;
});
afterAll(() => {
  sharedGpu.adjust = adjust;
});

/** A pacing that cuts the matrices of these small models into a few pieces each, and learns nothing. */
function slowPacing(): Pacing {
  const pacing = new Pacing({ rate: 3000 });
  vi.spyOn(pacing, 'time').mockResolvedValue();
  vi.spyOn(pacing, 'assume').mockReturnValue();
  return pacing;
}

/**
 * An answer of three tokens, and the kernels that it used.
 * @param prompt default: one in which few tokens share an expert
 */
async function shortAnswer(options: ExactnessModel, prompt = 'the men') {
  const { store, modelId } = await engineWith(options);
  const engine = new GpuEngine(store);
  await engine.load({ modelId }, () => {});
  const dispatch = vi.spyOn(PipelineCache.prototype, 'dispatch');
  const grid = vi.spyOn(GPUComputePassEncoder.prototype, 'dispatchWorkgroups');
  const answer = await engine.generate(
    {
      input: { kind: 'text', text: prompt },
      maxTokens: 3,
      sampling: { temperature: 0 },
      ignoreEos: true,
      topLogprobs: TOP,
    },
    () => {},
  );
  const kernels = new Set(dispatch.mock.calls.map(([{ name }]) => name));
  const dispatches = grid.mock.calls.length;
  await engine.unload();
  return { answer, kernels, dispatches, reference: await readReference(store, modelId) };
}

afterEach(() => {
  others = undefined;
  isSlow = false;
  isChecked = true;
  vi.restoreAllMocks();
});

describe('with the variants of GPUs', () => {
  it.each(CASES)('$type: $vector, $few, $batch, $attention, $between, $sampler', async (one) => {
    const { type, others: otherKernels, ...kernels } = one;
    forced = kernels;
    others = otherKernels;
    await expectExact(type);
    expect(memory.set).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('self-test'), 'passed');

    const { answer, kernels: used, dispatches, reference } = await shortAnswer(TYPE_MODELS[type]);
    const { worst, worstChoice } = judge(reference, answer.promptTokens, answer.tokens);
    expect(Math.max(worst, worstChoice)).toBeLessThan(LOGPROB_TOLERANCE);
    const product = 'expert gate+up';
    expect(used).toContain(`${product} ${one.vector} ${type}`);
    expect(used).toContain(`${product} ${one.few} x4 ${type}`);
    expect(used.has(`sample ${one.others ?? 'rows'}`)).toBe(true);
    expect(used.has('sample pick')).toBe(one.sampler === 'blocks');
    expect(used.has('combine+norm')).toBe(one.between === 'fused');
    expect([...used].some((name) => name.startsWith('attention_flash'))).toBe(one.attention === 'flash');

    isSlow = true;
    vi.restoreAllMocks();
    const slow = await shortAnswer(TYPE_MODELS[type]);
    expect(slow.answer.tokens).toEqual(answer.tokens);
    expect(slow.dispatches).toBeGreaterThan(1.3 * dispatches);
  });

  it.each(SHORT_CASES)('in a short answer: $vector, $batch', async (kernels) => {
    forced = kernels;
    isChecked = false;
    const { answer, kernels: used, reference } = await shortAnswer(SHORT_MODEL, PROMPT); // many tokens share each expert
    const { worst, worstChoice } = judge(reference, answer.promptTokens, answer.tokens);
    expect(Math.max(worst, worstChoice)).toBeLessThan(LOGPROB_TOLERANCE);
    for (const product of ['matmul', 'expert gate+up', 'expert matmul']) {
      expect(used).toContain(`${product} ${kernels.vector} F32`);
      expect(used).toContain(`${product} ${kernels.batch} x${BATCH_SHAPES[kernels.batch].inputs} F32`);
    }
  });

  it('leaves out none', () => {
    for (const { family, name } of KERNEL_VARIANTS) {
      if (name !== 'rows') expect(ALL_CASES.map((one): string => one[family])).toContain(name);
      if (NOT_IN_SUITE.has(name)) continue;
      expect([...SUITE, ...SHORT_CASES].map((one): string => one[family])).toContain(name);
    }
  });
});

describe('fused kernels', () => {
  it('give the same tokens at every GPU budget', async () => {
    forced = { between: 'fused' };
    const { store, modelId } = await engineWith({ ...TYPE_MODELS.Q8_0, layers: 6 });
    const engine = new GpuEngine(store);
    const all = await engine.load({ modelId, context: 128 }, () => {});
    const tokens = async (slots: number) => {
      const gpuBudgetBytes = all.memory.gpuBytes - (all.slots - slots - 0.5) * all.summary.figures.expertBytes;
      const loaded = await engine.load({ modelId, context: 128, gpuBudgetBytes, ramBudgetBytes: 0 }, () => {});
      expect(loaded.slots).toBe(slots);
      await greedy(engine); // fills the slots
      const { tokens, cache } = await greedy(engine);
      return { ids: tokens.map(({ id, logprob }) => [id, logprob]), cache };
    };
    const resident = await tokens(all.slots);
    expect(resident.cache).toMatchObject({ misses: 0, stalls: 0 });
    // One slot less: tokens stall in the fused router. Half of them: tokens are decoded layer by layer.
    const stalling = await tokens(all.slots - 1);
    expect(stalling.cache.stalls).toBeGreaterThan(1);
    expect(stalling.ids).toEqual(resident.ids);
    const layerwise = await tokens(all.slots / 2);
    expect(layerwise.cache.misses).toBeGreaterThan(10);
    expect(layerwise.ids).toEqual(resident.ids);
    await engine.unload();
  });
});
