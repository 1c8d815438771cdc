/**
 * Holds what another browser's WebGPU computes to the forward pass in float64: its compiler for WGSL is not Chromium's.
 * The page is that of the command line, which offers the workers' methods.
 */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Answer, CliPage } from '../../src/cli/page.ts';
import type { GenerateRequest, GenerateResult } from '../../src/contract/engine-api.ts';
import { FakeDevice, stubWebGpuConstants } from '../../workers/compute/gpu/fake-device-testing.ts';
import { storeModel } from '../../workers/compute/gpu/stored-model-testing.ts';
import { chooseKernels } from '../../workers/compute/gpu/variants/choose-kernels.ts';
import {
  KERNEL_FAMILIES,
  type KernelAdapter,
  type KernelChoice,
} from '../../workers/compute/gpu/variants/kernel-variants.ts';
import { type ExactnessModel, TYPE_MODELS } from '../../workers/engine/exactness-models-testing.ts';
import { PROMPT, readReference, TOKENS, TOP } from '../../workers/engine/exactness-testing.ts';
import type { WeightTypeName } from '../../workers/format/weight-layout.ts';
import { importSource, sourceOf } from '../../workers/import/testing.ts';
import { judge, type Verdict } from '../../workers/reference/judge.ts';
import { LOGPROB_TOLERANCE } from '../../workers/reference/tolerance.ts';
import { AdapterMemory, adapterKey } from '../../workers/store/adapter-memory.ts';
import { MemoryStore } from '../../workers/store/memory-store.ts';
import { createSynth, uniformTypes } from '../../workers/synth/synth.ts';
import { startServer, type TestServer } from '../server.ts';
import type { JourneyPage } from './page.ts';

/** One type of each family: plain numbers, a scale per block, K-quants, grids of IQ types, values from a table. */
const FAMILIES = ['F16', 'Q4_0', 'Q4_K', 'IQ2_XXS', 'MXFP4'] as const satisfies WeightTypeName[];

/**
 * Most of the time is compiling. So the models share what is not of the family: attention and router are F16, and all
 * matrices have the same sizes. There is one layer, and answers are short.
 */
const small = (type: WeightTypeName): ExactnessModel => ({
  types: { ...uniformTypes('F16'), experts: type, down: type, embedding: type, output: type },
  layout: 'merged',
  layers: 1,
  embeddingLength: 256,
  feedForwardLength: 256,
  headCount: 4,
  kvHeadCount: 2,
  expertCount: 4,
  expertsPerToken: 2,
  vocabularySize: 400,
  contextLength: 256,
  seed: 5,
});
const SHORT = 6;

/**
 * `MIXTAB_EXACT_TYPES=Q4_0,MXFP4` runs whole answers of models that have these types only, `MIXTAB_EXACT_TYPES=all` of
 * all models; then their deviations are printed.
 */
const named = process.env.MIXTAB_EXACT_TYPES;
const THOROUGH = named === 'all' ? Object.keys(TYPE_MODELS) : (named?.split(',') ?? []);

const MODELS: Record<string, ExactnessModel> = {
  ...Object.fromEntries(FAMILIES.map((type) => [`small ${type}`, small(type)])),
  ...Object.fromEntries(THOROUGH.map((type) => [type, TYPE_MODELS[type]])),
};
const pathOf = (model: string): string => `/exact-${model.replaceAll(/[^\w]+/g, '-')}.gguf`;

/** What Firefox's software driver calls itself, so that the engine takes it for a GPU. */
const GPU = { vendor: 'test', architecture: '', description: 'a GPU' };

/**
 * Runs before the engine's worker: its adapter is no software. A variant that fails the self-test is not replaced by
 * another one, because a warning ends the load. Sends the labels of all calls of kernels when it is asked. The worker
 * has two files, so this runs there twice.
 */
const AS_GPU = `{
  const info = ${JSON.stringify({ ...GPU, device: '', isFallbackAdapter: false })};
  Object.defineProperty(GPUAdapter.prototype, 'info', { get: () => info });
  console.warn = (text) => {
    throw new Error(text);
  };
  const labels = new Set();
  const createBindGroup = GPUDevice.prototype.createBindGroup;
  GPUDevice.prototype.createBindGroup = function (descriptor) {
    labels.add(descriptor.label);
    return createBindGroup.call(this, descriptor);
  };
  const channel = new BroadcastChannel('kernels');
  channel.onmessage = ({ data }) => {
    if (data !== 'labels') return;
    channel.postMessage([...labels]);
    labels.clear();
  };
}`;

/** Runs in the page. @returns the labels of all calls of kernels since the last time */
function calledKernels(): Promise<string[]> {
  const channel = new BroadcastChannel('kernels');
  channel.postMessage('labels');
  return new Promise((resolve) => {
    channel.onmessage = ({ data }: MessageEvent<string[]>) => {
      channel.close();
      resolve(data);
    };
  });
}

/** Variants that a GPU has by default, and those of another form. The others of these forms differ in sizes only. */
const GPU_VARIANTS: Pick<KernelChoice, 'vector' | 'few' | 'batch' | 'sampler'>[] = [
  { vector: 'workgroup', few: 'workgroup', batch: 'workgroup', sampler: 'single' },
  { vector: 'staged-64x4', few: 'staged', batch: 'tiled-32x32', sampler: 'blocks' },
];
/** Its runs share bytes, so all of a form is needed. */
const GPU_TYPE = 'Q4_K';
/** 11 tokens: many inputs for attention, and a few for each expert. */
const FEW_TOKENS = 'the first men';

/** Defines the tests. @param page returns the shared browser's page */
export function exactness(page: () => JourneyPage): void {
  let server: TestServer;
  /** Starts a server with all models, and opens its page. */
  const serve = async (engineCode = ''): Promise<TestServer> => {
    const files = Object.entries(MODELS).map(([name, options]) => [pathOf(name), createSynth(options)]);
    const served = Object.assign(await startServer(Object.fromEntries(files)), { engineCode });
    await page().tab.open(`${served.origin}/cli.html`);
    await page().waitFor('the workers', async () => (await page().tab.evaluate(() => 'mixtab' in window)) || undefined);
    return served;
  };
  beforeAll(async () => {
    server = await serve();
  });
  afterAll(() => server?.close());

  it.each(Object.keys(MODELS))('%s: the tokens and log-probabilities are those of float64', async (model) => {
    const maxTokens = model.startsWith('small') ? SHORT : TOKENS;
    const answer = await generate(page(), `${server.origin}${pathOf(model)}`, maxTokens);
    const verdict = await expectExact(MODELS[model], answer, maxTokens);
    if (named) console.log(`${model} ${verdict.worst.toPrecision(2)}`);
  });

  describe('with the kernels of GPUs', () => {
    let gpuServer: TestServer;
    // Another server, because the browser keeps the code of the worker.
    beforeAll(async () => {
      gpuServer = await serve(AS_GPU);
    });
    afterAll(() => gpuServer?.close());

    it.each(GPU_VARIANTS)('$vector, $few, $batch, $sampler: passes the self-test, and is exact', async (chosen) => {
      const { tab } = page();
      const model = small(GPU_TYPE);
      const adapter = await tab.evaluate(adapterInPage);
      const facts = await factsOf(model, { ...adapter, features: new Set(adapter.features) }, chosen);
      const prefix = `${adapterKey(GPU, await tab.evaluate(() => navigator.userAgent))} `;
      const before = await tab.evaluate(changeFacts, prefix, facts);
      const answer = await generate(page(), `${gpuServer.origin}${pathOf(`small ${GPU_TYPE}`)}`, SHORT, FEW_TOKENS);
      await expectExact(model, answer, SHORT);
      const used = await tab.evaluate(calledKernels);
      const has = (start: string, end: string): boolean =>
        used.some((one) => one.startsWith(start) && one.endsWith(end));
      expect(has(`expert gate+up ${chosen.vector} ${GPU_TYPE} L0`, ''), used.join('; ')).toBe(true);
      expect(has(`expert gate+up ${chosen.few} x4 ${GPU_TYPE} L0`, ''), used.join('; ')).toBe(true);
      expect(has(`matmul ${chosen.batch} x`, 'L0.attn_q'), used.join('; ')).toBe(true);
      expect(has('sample pick', ''), used.join('; ')).toBe(chosen.sampler === 'blocks');
      const after = await tab.evaluate(changeFacts, prefix, {});
      const of = (names: string[], kind: string): string[] => names.filter((name) => name.startsWith(kind));
      expect(of(after, 'kernels ').sort()).toEqual(Object.keys(facts).sort()); // nothing was measured
      expect(of(after, 'self-test ')).toHaveLength(of(before, 'self-test ').length + 1);
    });
  });
}

/** Imports a model in the page and continues the prompt on the GPU. */
async function generate(page: JourneyPage, url: string, maxTokens: number, prompt = PROMPT): Promise<GenerateResult> {
  const request: GenerateRequest = {
    input: { kind: 'text', text: prompt },
    maxTokens,
    sampling: { temperature: 0 },
    ignoreEos: true,
    topLogprobs: TOP,
  };
  const answer = await page.tab.evaluate(
    async (url: string, request: GenerateRequest): Promise<Answer<GenerateResult>> => {
      const { mixtab } = window as unknown as { mixtab: CliPage };
      const imported = await mixtab.import({ kind: 'url', url });
      if ('error' in imported) return imported;
      const loaded = await mixtab.load({ modelId: imported.result.id, compute: 'gpu' });
      return 'error' in loaded ? loaded : mixtab.generate(request);
    },
    url,
    request,
  );
  if ('error' in answer) throw new Error(`${answer.error.code}: ${answer.error.message}`);
  return answer.result;
}

/** Expects the tokens and log-probabilities of an answer to be those of float64. */
async function expectExact(options: ExactnessModel, answer: GenerateResult, maxTokens: number): Promise<Verdict> {
  const store = new MemoryStore();
  const { id } = await importSource(store, sourceOf(options), options);
  expect(answer.tokens).toHaveLength(maxTokens);
  const verdict = judge(await readReference(store, id), answer.promptTokens, answer.tokens);
  expect(Math.max(verdict.worst, verdict.worstChoice), JSON.stringify(verdict)).toBeLessThan(LOGPROB_TOLERANCE);
  return verdict;
}

/** Runs in the page. @returns what the choice of variants depends on */
async function adapterInPage(): Promise<Omit<KernelAdapter, 'features'> & { features: string[] }> {
  const adapter = (await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' }))!;
  const { limits } = adapter;
  return {
    software: false,
    features: [...adapter.features],
    workgroupMemoryBytes: limits.maxComputeWorkgroupStorageSize,
    workgroupThreads: Math.min(limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX),
    subgroupMaxSize: (adapter.info as { subgroupMaxSize?: number }).subgroupMaxSize ?? 0,
  };
}

/** The choice of variants as the engine remembers it. @returns values by the names of the facts */
async function factsOf(
  options: ExactnessModel,
  adapter: KernelAdapter,
  chosen: Partial<KernelChoice>,
): Promise<Record<string, string>> {
  stubWebGpuConstants();
  const stored = await storeModel(options, {});
  const { model, destroy } = await stored.loadModel(new FakeDevice(1e9).gpu);
  const facts: Record<string, string> = {};
  const memory = new AdapterMemory('');
  // All that the choice asks for is known, so nothing is measured.
  vi.spyOn(memory, 'get').mockImplementation(async (fact) => {
    const family = KERNEL_FAMILIES.find((one) => fact.startsWith(`kernels ${one},`))!;
    facts[fact] = chosen[family]!;
    return facts[fact];
  });
  const choice = await chooseKernels({ kernels: model.ctx.kernels, model, adapter, memory, clockStepMs: 0 });
  destroy();
  vi.unstubAllGlobals();
  expect(choice).toMatchObject(chosen);
  return facts;
}

/**
 * Runs in the page: changes what is remembered about an adapter.
 * @param prefix of the keys of its facts
 * @returns the names of its facts
 */
async function changeFacts(prefix: string, facts: Record<string, string>): Promise<string[]> {
  const opening = indexedDB.open('mixtab-adapters');
  const database = await new Promise<IDBDatabase>((resolve, reject) => {
    opening.onupgradeneeded = () => void opening.result.createObjectStore('facts');
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
  const store = database.transaction('facts', 'readwrite').objectStore('facts');
  for (const [name, value] of Object.entries(facts)) store.put(value, `${prefix}${name}`);
  const keys = await new Promise<IDBValidKey[]>((resolve, reject) => {
    const request = store.getAllKeys();
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  database.close();
  return keys.map(String).flatMap((key) => (key.startsWith(prefix) ? [key.slice(prefix.length)] : []));
}
