/** The self-test passes for right kernels, and names what a wrong kernel computes. */
import { describe, expect, it } from 'vitest';
import type { ModelConfig } from '../../../../src/contract/import-api.ts';
import { layoutTensor, WEIGHT_TYPES, type WeightTypeName } from '../../../format/weight-layout.ts';
import type { Dispatch } from '../dispatch.ts';
import type { ExpertBank, OpContext } from '../ops/context.ts';
import { type KernelSource, PipelineCache } from '../pipelines.ts';
import { allocate, getTestDevice, makeContext } from '../testing.ts';
import { defaultKernels } from '../variants/kernel-variants.ts';
import type { Check, CheckBuffers } from './check.ts';
import { denseChecks, embedChecks, expertChecks } from './matrix-checks.ts';
import { attentionChecks, combineChecks, promptChecks, routerChecks, samplerChecks } from './other-checks.ts';
import { checkGroups, findWrong } from './self-test.ts';

const WIDTH = 256;
const CONFIG = {
  layerCount: 1,
  embeddingLength: WIDTH,
  feedForwardLength: 512,
  headCount: 4,
  kvHeadCount: 2,
  headDim: 64,
  ropeDimensionCount: 64,
  ropeFreqBase: 1e6,
  rmsNormEpsilon: 1e-5,
  expertCount: 8,
  expertsPerToken: 2,
  vocabularySize: 700,
  contextLength: 512,
} satisfies ModelConfig;

const layout = (type: WeightTypeName, rows: number, cols = WIDTH, offset = 0) =>
  layoutTensor('test', WEIGHT_TYPES[type], rows, cols, offset);
const dense = (type: WeightTypeName, rows: number, oneToken = false) => ({
  layout: layout(type, rows),
  accumulate: false,
  oneToken,
});
const ROUTER = layout('F32', CONFIG.expertCount);

async function bankOf(gateType: WeightTypeName, upType: WeightTypeName, downType: WeightTypeName): Promise<ExpertBank> {
  const device = await getTestDevice();
  const gate = layout(gateType, 512);
  const up = layout(upType, 512, WIDTH, gate.bytes);
  const downLayout = layout(downType, WIDTH, 512);
  const gateUpStride = gate.bytes + up.bytes;
  return {
    firstSlot: 3,
    slots: 2,
    gateUp: allocate(device, 2 * gateUpStride),
    gateUpStride,
    down: allocate(device, 2 * downLayout.bytes),
    downStride: downLayout.bytes,
    gate,
    up,
    downLayout,
  };
}

/** Compiles kernels with a text replaced, like a driver that compiles them wrongly. */
class WrongPipelines extends PipelineCache {
  replaced = false;

  constructor(
    device: GPUDevice,
    private readonly from: string,
    private readonly to: string,
  ) {
    super(device);
  }

  override dispatch(...[kernel, ...rest]: Parameters<PipelineCache['dispatch']>): Dispatch {
    const code = kernel.code.map((text) => {
      if (text.includes(this.from)) this.replaced = true;
      return text.replace(this.from, this.to);
    });
    const wrong: KernelSource = { ...kernel, code };
    return super.dispatch(wrong, ...rest);
  }
}

describe('right kernels', () => {
  it('pass in weight types with other scales, grids, and gate and up of two types', async () => {
    const ctx = await makeContext('rows');
    const types = ['F32', 'BF16', 'MXFP4', 'IQ1_M', 'Q4_1', 'IQ3_S'] as const;
    const bank = await bankOf('IQ2_XXS', 'F16', 'Q2_K');
    const checks = (buffers: CheckBuffers): Check[] => [
      ...types.flatMap((type) => denseChecks(ctx, buffers, dense(type, 35, true))),
      ...expertChecks(ctx, buffers, bank, 2).slice(0, 2),
      ...embedChecks(ctx, buffers, layout('Q4_K', 35)),
      ...promptChecks({ ...ctx, variant: 'workgroup' }, buffers, CONFIG),
    ];
    expect(await findWrong(ctx, checks)).toBeUndefined();
  });
});

it('experts of two types may share their slots', async () => {
  const ctx = await makeContext('rows');
  const [bank, other] = [await bankOf('Q8_0', 'Q8_0', 'Q8_0'), await bankOf('Q4_K', 'Q4_K', 'Q6_K')];
  const { gateUp, gateUpStride, down, downStride } = bank;
  const banks = [bank, { ...other, gateUp, gateUpStride, down, downStride }];
  const groups = checkGroups({ ctx, config: CONFIG, dense: [], router: ROUTER, embedding: ROUTER, banks }).slice(1);
  for (const createChecks of groups) {
    expect(await findWrong(ctx, (buffers) => createChecks(buffers).slice(0, 2))).toBeUndefined();
  }
});

describe('a wrong kernel is found', () => {
  const kernels = { ...defaultKernels(false), between: 'fused' } as const;
  const find = async (from: string, to: string, checks: (ctx: OpContext, buffers: CheckBuffers) => Check[]) => {
    const pipelines = new WrongPipelines(await getTestDevice(), from, to);
    const ctx = { ...(await makeContext('workgroup', {}, kernels)), pipelines };
    const found = await findWrong(ctx, (buffers) => checks(ctx, buffers));
    expect(pipelines.replaced).toBe(true);
    return found?.name;
  };

  it.each([
    // A factor, a rounding.
    ['attention', 'inverseSqrt(f32(HEAD_DIM))', '0.11'],
    ['attention', '& 0x8000u', '& 0x0000u'],
  ])('%s: "%s" becomes "%s"', async (name, from, to) => {
    expect(await find(from, to, (ctx, buffers) => attentionChecks(ctx, buffers, CONFIG).slice(0, 1))).toBe(name);
  });

  it('router: the wrong order', async () => {
    const checks = (ctx: OpContext, buffers: CheckBuffers) => routerChecks(ctx, buffers, CONFIG, ROUTER);
    expect(await find('key > best.key', 'key < best.key', checks)).toBe('router');
  });

  it('sampler: a log-probability without its maximum', async () => {
    const checks = (ctx: OpContext, buffers: CheckBuffers) => samplerChecks(ctx, buffers, CONFIG.vocabularySize);
    expect(await find('finite(logits[id]) - raw_max', 'finite(logits[id])', checks)).toBe('sampler');
  });

  it('sum of the experts: a factor', async () => {
    const checks = (ctx: OpContext, buffers: CheckBuffers) => combineChecks(ctx, buffers, CONFIG);
    expect(await find('norm_scale(workgroup_total', '1.001 * norm_scale(workgroup_total', checks)).toBe(
      'sum of the experts and norm',
    );
  });

  it.each([
    ['norm of a prompt', 'x * scale * weight[column]', 'x * scale'],
    ['router of a prompt', 'logits[token * STRIDE + expert]', 'logits[expert]'],
    ['sum of the experts of a prompt', 'sum += rows[row]', 'sum = rows[row]'],
  ])('%s: "%s" becomes "%s"', async (name, from, to) => {
    const checks = (ctx: OpContext, buffers: CheckBuffers) => promptChecks(ctx, buffers, CONFIG);
    expect(await find(from, to, checks)).toBe(name);
  });

  it('embedding: a row', async () => {
    const checks = (ctx: OpContext, buffers: CheckBuffers) => embedChecks(ctx, buffers, layout('Q4_K', 700));
    expect(await find('output[at + 7u] = w.h', 'output[at + 7u] = w.g', checks)).toBe('embedding in Q4_K');
  });

  it('matrices and experts: a scale', async () => {
    const bank = await bankOf('Q4_K', 'Q4_K', 'Q6_K');
    const checks = (ctx: OpContext, buffers: CheckBuffers) => denseChecks(ctx, buffers, dense('Q8_0', 77, true));
    expect(await find('w.d * ', '1.001 * w.d * ', checks)).toBe('matrices in Q8_0, one token');
    const ofExperts = (ctx: OpContext, buffers: CheckBuffers) => expertChecks(ctx, buffers, bank, 2).slice(0, 2);
    expect(await find('w.d * ', '1.001 * w.d * ', ofExperts)).toBe('experts in Q4_K, one token');
  });
});
