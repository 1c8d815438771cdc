/** Prompts longer than the least that goes through a layer together. */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { ExpertsReport, GenerateResult } from '../src/contract/engine-api.ts';
import { isExpertKey } from '../src/contract/weight-layout.ts';
import type { Engine } from './engine.ts';
import { SYNTH_PRESETS } from './gguf/synth/presets.ts';
import { uniformTypes } from './gguf/synth/synth.ts';
import { scopesReport } from './gpu/scope-testing.ts';
import { engineWith } from './testing.ts';

async function leastBudget(engine: Engine, modelId: string, context: number): Promise<number> {
  const refused = (await engine.load({ modelId, context, gpuBudgetBytes: 1 }, () => {}).catch((error: Error) => error)) as Error;
  return Number(/at least (\d+) MB/.exec(refused.message)?.[1]) * 1e6;
}

it('reads each expert once where the budget has room for the prompt, and gives the same to the bit where it has not', async () => {
  const { engine, modelId, store } = await engineWith({
    ...SYNTH_PRESETS.tiny, embeddingLength: 64, headCount: 2, kvHeadCount: 1, feedForwardLength: 1024, contextLength: 4800, types: uniformTypes('Q8_0'),
  });
  const experts = (await store.getManifest(modelId))!.records.filter(({ key }) => isExpertKey(key));
  const expertBytes = experts.reduce((sum, { bytes }) => sum + bytes, 0);
  const least = await leastBudget(engine, modelId, 4800);
  /** What a prompt of 4700 tokens takes, read and computed with some experts' slots. */
  const longPrompt = async (gpuBudgetBytes: number): Promise<GenerateResult & { slots: number }> => {
    const { slots } = await engine.load({ modelId, context: 4800, gpuBudgetBytes, ramBudgetBytes: 0 }, () => {});
    const result = await engine.generate(
      { input: { kind: 'text', text: 'x '.repeat(2340) }, maxTokens: 1, sampling: { temperature: 0 }, ignoreEos: true, topLogprobs: 5 }, () => {},
    );
    return { ...result, slots };
  };
  const inParts = await longPrompt(least);
  const whole = await longPrompt(least + 1.5e6);
  expect(whole.promptTokens.length).toBeGreaterThan(4096 + 512);
  expect(whole.slots).toBeLessThan(experts.length);
  expect(whole.cache.bytesRead).toBeLessThanOrEqual(expertBytes);
  expect(inParts.cache.bytesRead).toBeGreaterThan(expertBytes);
  expect(whole.tokens).toEqual(inParts.tokens);
  await engine.unload();
}, 300_000);

describe('at the least budget, with room in the KV cache', () => {
  const CONTEXT = 5000;
  /** Between the standing rows and what the cache of 4608 positions leaves room for beside them. */
  const PROMPT = 4160;
  const LETTERS = Array.from({ length: 4000 }, (_, i) => String.fromCharCode(97 + ((i * i * 7 + i * 3) % 101) % 26));
  const GREEDY = { sampling: { temperature: 0 }, ignoreEos: true, topLogprobs: 5 };
  let text: string;
  let engine: Engine;
  let expertBytes: number;
  let budget: number;
  let load: () => Promise<{ memory: { gpuBytes: number } }>;
  let whole: GenerateResult;
  let borrowed: GPUBuffer[];
  let destroyed: GPUBuffer[];

  beforeAll(async () => {
    const { engine: made, modelId, store } = await engineWith({
      ...SYNTH_PRESETS.tiny, embeddingLength: 64, headCount: 2, kvHeadCount: 2, headDim: 64, feedForwardLength: 512, contextLength: CONTEXT,
      types: uniformTypes('Q8_0'),
    });
    engine = made;
    const experts = (await store.getManifest(modelId))!.records.filter(({ key }) => isExpertKey(key));
    expertBytes = experts.reduce((sum, { bytes }) => sum + bytes, 0);
    budget = await leastBudget(engine, modelId, CONTEXT);
    load = () => engine.load({ modelId, context: CONTEXT, gpuBudgetBytes: budget, ramBudgetBytes: 0 }, () => {});
    await load();
    const tokens = (await engine.tokenize(LETTERS.join(' '))).length;
    text = LETTERS.slice(0, Math.floor((LETTERS.length * PROMPT) / tokens)).join(' ');
  });
  afterAll(() => engine.unload());
  afterEach(() => vi.restoreAllMocks());

  /** Notes the borrowed buffers that are made from now on, and all that are destroyed. */
  function watchBuffers(): void {
    borrowed = [];
    destroyed = [];
    const create = GPUDevice.prototype.createBuffer;
    vi.spyOn(GPUDevice.prototype, 'createBuffer').mockImplementation(function (this: GPUDevice, descriptor) {
      const buffer = create.call(this, descriptor);
      if (descriptor.label?.startsWith('borrowed')) borrowed.push(buffer);
      return buffer;
    });
    const destroy = GPUBuffer.prototype.destroy;
    vi.spyOn(GPUBuffer.prototype, 'destroy').mockImplementation(function (this: GPUBuffer) {
      destroyed.push(this);
      destroy.call(this);
    });
  }

  it('borrows rows from it and reads each expert once, stays within the budget, and the answer can fill the context', async () => {
    const { memory } = await load();
    watchBuffers();
    const during: Promise<ExpertsReport | undefined>[] = [];
    whole = await engine.generate({ ...GREEDY, input: { kind: 'text', text }, maxTokens: CONTEXT }, ({ type }) => {
      if (type === 'prefill') during.push(engine.experts());
    });
    expect(whole.promptTokens.length).toBeGreaterThan(4096);
    expect((await engine.experts())!.promptBytesRead).toBeLessThanOrEqual(expertBytes);
    expect(whole.finishReason).toBe('length');
    expect(whole.promptTokens.length + whole.tokens.length).toBe(CONTEXT);
    expect(borrowed).toHaveLength(4);
    expect(destroyed).toEqual(expect.arrayContaining(borrowed));
    const rows = borrowed.reduce((sum, { size }) => sum + size, 0);
    const bytes = (await Promise.all(during)).map((report) => report!.memory.gpuBytes);
    // 512 positions at load, 4608 for this prompt, 5000 at last; 1024 bytes each.
    expect(bytes).toEqual([memory.gpuBytes + 4096 * 1024 + rows, memory.gpuBytes + 4096 * 1024 + rows]);
    expect(bytes[0]).toBeLessThanOrEqual(budget);
    expect(whole.memory.gpuBytes).toBe(memory.gpuBytes + (5000 - 512) * 1024);
  }, 300_000);

  it('borrows again from a cache that has grown to the context meanwhile', async () => {
    watchBuffers();
    const other = text.slice(2); // shares nothing but its beginning
    const again = await engine.generate({ ...GREEDY, input: { kind: 'text', text: other }, maxTokens: 1 }, () => {});
    expect(again.reusedTokens).toBeLessThan(10);
    expect(again.cache.bytesRead).toBeLessThanOrEqual(expertBytes);
    expect(borrowed).toHaveLength(4);
  }, 300_000);

  it('gives the same to the bit in stretches, where there is no memory for borrowed rows', async () => {
    await load();
    watchBuffers();
    scopesReport(new GPUOutOfMemoryError('a test'));
    const inStretches = await engine.generate({ ...GREEDY, input: { kind: 'text', text }, maxTokens: 1 }, () => {});
    expect(borrowed).toHaveLength(4);
    expect(destroyed).toEqual(expect.arrayContaining(borrowed));
    expect(inStretches.cache.bytesRead).toBeGreaterThan(expertBytes);
    expect(inStretches.tokens).toEqual(whole.tokens.slice(0, 1));
  }, 300_000);

  it('gives them back when it is stopped', async () => {
    await load();
    watchBuffers();
    const stopped = await engine.generate({ ...GREEDY, input: { kind: 'text', text }, maxTokens: 1 }, ({ type }) => {
      if (type === 'prefill') void engine.stop();
    });
    expect(stopped.finishReason).toBe('aborted');
    expect(borrowed).toHaveLength(4);
    expect(destroyed).toEqual(expect.arrayContaining(borrowed));
  }, 300_000);
});
