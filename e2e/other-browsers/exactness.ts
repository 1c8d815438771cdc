/**
 * Holds what another browser's WebGPU computes to the forward pass in float64: its compiler for WGSL is not Chromium's.
 * The page is that of the command line, which offers the workers' methods.
 */
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { Answer, CliPage } from '../../src/cli/page.ts';
import type { GenerateRequest, GenerateResult } from '../../src/contract/engine-api.ts';
import { FakeDevice, stubWebGpuConstants } from '../../workers/compute/gpu/fake-device-testing.ts';
import type { OpContext } from '../../workers/compute/gpu/ops/context.ts';
import { sample } from '../../workers/compute/gpu/ops/sample.ts';
import { defaultKernels } from '../../workers/compute/gpu/variants/kernel-variants.ts';
import { TYPE_MODELS } from '../../workers/engine/exactness-models-testing.ts';
import { expectAnswerNearFloat64, PROMPT, readReference, TOKENS, TOP } from '../../workers/engine/exactness-testing.ts';
import { importSource, sourceOf } from '../../workers/import/testing.ts';
import { MemoryStore } from '../../workers/store/memory-store.ts';
import { createSynth } from '../../workers/synth/synth.ts';
import { startServer, type TestServer } from '../server.ts';
import type { JourneyPage } from './page.ts';

/**
 * Types of two families: K-quants, and grids of IQ types. Each takes Firefox's software driver 5 to 20 seconds, most of
 * it to compile. `MIXTAB_EXACT_TYPES=Q4_0,MXFP4` names others, `MIXTAB_EXACT_TYPES=all` runs all models; then their
 * deviations are printed.
 */
const SUITE = ['Q4_K', 'IQ2_XXS'];
const named = process.env.MIXTAB_EXACT_TYPES;
const TYPES = named === 'all' ? Object.keys(TYPE_MODELS) : (named?.split(',') ?? SUITE);

const REQUEST: GenerateRequest = {
  input: { kind: 'text', text: PROMPT },
  maxTokens: TOKENS,
  sampling: { temperature: 0 },
  ignoreEos: true,
  topLogprobs: TOP,
};

const pathOf = (type: string): string => `/exact-${type.replaceAll(/[^\w]+/g, '-')}.gguf`;

/** Defines the tests. @param page returns the shared browser's page */
export function exactness(page: () => JourneyPage): void {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer(Object.fromEntries(TYPES.map((type) => [pathOf(type), createSynth(TYPE_MODELS[type])])));
    await page().tab.open(`${server.origin}/cli.html`);
    await page().waitFor('the workers', async () => (await page().tab.evaluate(() => 'mixtab' in window)) || undefined);
  });
  afterAll(() => server?.close());

  it.each(TYPES)('%s: the tokens and log-probabilities are those of float64', async (type) => {
    const answer = await generate(page(), `${server.origin}${pathOf(type)}`);
    const store = new MemoryStore();
    const { id } = await importSource(store, sourceOf(TYPE_MODELS[type]), TYPE_MODELS[type]);
    const verdict = expectAnswerNearFloat64(await readReference(store, id), answer);
    if (named) console.log(`${type} ${verdict.worst.toPrecision(2)}`);
  });

  it('compiles the kernels of the sampler in many workgroups', async () => {
    const errors = await page().tab.evaluate(compileAll, samplerKernels());
    expect(errors).toEqual([]);
  });
}

/** Imports a model in the page and continues the prompt on the GPU. */
async function generate(page: JourneyPage, url: string): Promise<GenerateResult> {
  const answer = await page.tab.evaluate(
    async (url: string, request: GenerateRequest): Promise<Answer<GenerateResult>> => {
      const { mixtab } = window as unknown as { mixtab: CliPage };
      const imported = await mixtab.import({ kind: 'url', url });
      if ('error' in imported) return imported;
      const loaded = await mixtab.load({ modelId: imported.result.id, compute: 'gpu' });
      return 'error' in loaded ? loaded : mixtab.generate(request);
    },
    url,
    REQUEST,
  );
  if ('error' in answer) throw new Error(`${answer.error.code}: ${answer.error.message}`);
  return answer.result;
}

interface Kernel {
  code: string;
  constants: Record<string, number>;
}

/** The kernels that a token is sampled with in many workgroups. */
function samplerKernels(): Kernel[] {
  stubWebGpuConstants();
  const { pipelines } = new FakeDevice(1e9).gpu;
  vi.unstubAllGlobals();
  const slice = { buffer: {} as GPUBuffer, offset: 0, size: 2 ** 20 };
  const kernels = { ...defaultKernels(false), sampler: 'blocks' as const };
  const ctx: OpContext = { pipelines, variant: 'workgroup', kernels, state: slice };
  const args = { params: slice, counts: slice, bias: slice, tokens: slice, result: slice, scratch: slice };
  const logits = { slice, stride: 32000 };
  const planned = pipelines.plan(() => void sample(ctx, { logits, vocabularySize: 32000, ...args }));
  return [...planned.values()].map(({ kernel, overrides }) => ({
    code: kernel.code.join('\n'),
    constants: { ...overrides },
  }));
}

/** Runs in the page. @returns what the browser reports */
async function compileAll(kernels: Kernel[]): Promise<string[]> {
  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter!.requestDevice();
  const errors: string[] = [];
  for (const { code, constants } of kernels) {
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ code });
    const compute = { module, entryPoint: 'main', constants };
    await device.createComputePipelineAsync({ layout: 'auto', compute }).catch((error: unknown) => {
      errors.push(String(error));
    });
    const invalid = await device.popErrorScope();
    if (invalid) errors.push(invalid.message);
  }
  device.destroy();
  return errors;
}
