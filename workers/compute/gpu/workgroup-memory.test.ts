/** The workgroup memory of the kernels of GPUs, at Mixtral's sizes and others. Every adapter has 16 KiB. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { layoutTensor, WEIGHT_TYPES } from '../../format/weight-layout.ts';
import { FakeDevice, stubWebGpuConstants } from './fake-device-testing.ts';
import { attention } from './ops/attention.ts';
import type { OpContext } from './ops/context.ts';
import { routeToken } from './ops/route-token.ts';
import { router } from './ops/router.ts';
import { sample } from './ops/sample.ts';
import { defaultKernels } from './variants/kernel-variants.ts';
import { workgroupMemory } from './workgroup-memory-testing.ts';

const LIMIT = 16384;

beforeEach(stubWebGpuConstants);
afterEach(() => vi.unstubAllGlobals());

/** The workgroup memory of each kernel that calls need, by its name. */
function memoryOf(
  record: (ctx: OpContext) => void,
  variant: OpContext['variant'] = 'workgroup',
  kernels: Partial<OpContext['kernels']> = {},
): Record<string, number> {
  const { pipelines } = new FakeDevice(1e9).gpu;
  const ctx: OpContext = { pipelines, variant, kernels: { ...defaultKernels(variant === 'rows'), ...kernels }, state };
  const planned = [...pipelines.plan(() => record(ctx)).values()];
  return Object.fromEntries(planned.map((one) => [one.kernel.name, workgroupMemory(one)]));
}

const state = { buffer: {} as GPUBuffer, offset: 0, size: 2 ** 30 };
const rows = { slice: state, stride: 4096 };

const attend = (headCount: number, kvHeadCount: number, headDim: number, maxTokens: number) => (ctx: OpContext) =>
  attention(ctx, {
    q: rows,
    keyCache: state,
    valueCache: state,
    output: rows,
    scratch: state,
    headCount,
    kvHeadCount,
    headDim,
    capacity: 4096,
    maxTokens,
    label: '',
  });

describe('attention', () => {
  it('declares 3 and 7 KiB in decode, at Mixtral 8x7B and 8x22B', () => {
    // Queries (4 or 8 rows of 128), scores of 64 positions, and maxima and sums of 8 parts.
    expect(memoryOf(attend(32, 8, 128, 1))).toEqual({
      'attention_flash wide 1x1': 4 * 128 * 4 + 64 * 4 * 4 + 2 * 8 * 16,
      attention_flash_reduce: 0,
    });
    expect(memoryOf(attend(48, 8, 128, 1))).toEqual({
      'attention_flash wide 2x1': 8 * 128 * 4 + 64 * 8 * 4 + 2 * 8 * 32,
      attention_flash_reduce: 0,
    });
  });

  it('fits into the least limit with every shape of heads, in decode and in prompts', () => {
    for (const headDim of [32, 64, 66, 80, 96, 128, 192, 256]) {
      for (const queries of [1, 2, 4, 6, 8, 16]) {
        for (const tokens of [1, 2, 512]) {
          for (const bytes of Object.values(memoryOf(attend(queries * 2, 2, headDim, tokens)))) {
            expect(bytes, `${headDim} x ${queries}, ${tokens} tokens`).toBeLessThanOrEqual(LIMIT);
          }
        }
      }
    }
  });
});

const selection = {
  logits: rows,
  expertCount: 8,
  expertsPerToken: 2,
  layer: 0,
  routingWeights: state,
  selectedExperts: state,
  slotTable: state,
  groups: state,
  label: '',
};

describe('the router', () => {
  it('declares the scores and keys of the experts, and the sums of the threads of the norm', () => {
    const layout = layoutTensor('router', WEIGHT_TYPES.F32, 8, 4096, 0);
    const fused = memoryOf((ctx) =>
      routeToken(ctx, {
        ...selection,
        mode: 'decode',
        residual: rows,
        normWeight: state,
        matrix: { layout, slice: state },
        normed: rows,
        width: 4096,
        epsilon: 1e-5,
      }),
    );
    expect(Object.values(fused)).toEqual([4 + 2 * 8 * 4 + 256 * 4]);
  });

  it('uses none of its own if it is not fused', () => {
    const record = (ctx: OpContext) => router(ctx, { ...selection, maxTokens: 512, mode: 'prefill' });
    expect(Object.values(memoryOf(record))).toEqual([0]);
  });
});

describe('the sampler', () => {
  const record = (ctx: OpContext) =>
    sample(ctx, {
      logits: rows,
      vocabularySize: 32000,
      params: state,
      counts: state,
      bias: state,
      tokens: state,
      result: state,
      scratch: state,
    });

  it('declares histograms of 16 bins for 128 threads, whatever the vocabulary is', () => {
    const histograms = 128 * 16 * 4;
    const threads = 128 * (4 + 4 + 8);
    expect(memoryOf(record)['sample workgroup'] - histograms - threads).toBeLessThan(256); // the rest: the likeliest tokens
    expect(memoryOf(record)['sample workgroup']).toBeLessThanOrEqual(LIMIT);
  });

  it('declares room for 1024 tokens and their sums in many workgroups', () => {
    const {
      'sample pick': pick,
      'sample gather': gather,
      'sample survey': survey,
    } = memoryOf(record, 'workgroup', {
      sampler: 'blocks',
    });
    expect(pick - 1024 * (8 + 4) - 256 * 4 - 64 * 16).toBeLessThan(128);
    expect(pick).toBeLessThanOrEqual(LIMIT);
    expect([gather, survey]).toEqual([16 * 4, 64 * (8 + 4 + 16) + 4]);
  });

  it('has its histograms in storage on software adapters, which clear workgroup memory word by word', () => {
    expect(memoryOf(record, 'rows')['sample rows']).toBeLessThan(512);
  });
});
