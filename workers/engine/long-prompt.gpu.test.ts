/** Prompts of several chunks: each expert is read once, and no result depends on the budget. */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { ExpertsReport, GenerateRequest, GenerateResult } from '../../src/contract/engine-api.ts';
import { scopesReport } from '../compute/gpu/scope-testing.ts';
import { isExpertKey, isExpertKeyOf } from '../format/manifest.ts';
import type { MemoryStore } from '../store/memory-store.ts';
import { SYNTH_PRESETS } from '../synth/presets.ts';
import { type SynthOptions, uniformTypes } from '../synth/synth.ts';
import type { Engine } from './engine.ts';
import { engineWith, holdReads } from './testing.ts';

const BASE: SynthOptions = {
  ...SYNTH_PRESETS.tiny,
  embeddingLength: 64,
  headCount: 2,
  kvHeadCount: 2,
  headDim: 64,
  feedForwardLength: 512,
  types: uniformTypes('Q8_0'),
};
const LETTERS = Array.from({ length: 4000 }, (_, i) => String.fromCharCode(97 + (((i * i * 7 + i * 3) % 101) % 26)));

afterEach(() => vi.restoreAllMocks());

async function leastBudget(engine: Engine, modelId: string): Promise<number> {
  const refused = (await engine.load({ modelId, gpuBudgetBytes: 1 }, () => {}).catch((error: Error) => error)) as Error;
  return Number(/at least (\d+) MB/.exec(refused.message)?.[1]) * 1e6;
}

/** A text of about `tokens` tokens. Needs a loaded model. */
async function textOf(engine: Engine, tokens: number): Promise<string> {
  const all = (await engine.tokenize(LETTERS.join(' '))).length;
  return LETTERS.slice(0, Math.floor((LETTERS.length * tokens) / all)).join(' ');
}

const generate = (
  engine: Engine,
  text: string,
  more: Partial<GenerateRequest> = {},
  onEvent: Parameters<Engine['generate']>[1] = () => {},
) =>
  engine.generate(
    {
      input: { kind: 'text', text },
      maxTokens: 1,
      sampling: { temperature: 0 },
      ignoreEos: true,
      topLogprobs: 5,
      ...more,
    },
    onEvent,
  );

/** Counts how often each expert's record is read from now on. */
function countReads(store: MemoryStore): Map<string, number> {
  const reads = new Map<string, number>();
  const read = store.readPartsVerified.bind(store);
  vi.spyOn(store, 'readPartsVerified').mockImplementation((id, record) => {
    if (isExpertKey(record.key)) reads.set(record.key, (reads.get(record.key) ?? 0) + 1);
    return read(id, record);
  });
  return reads;
}

describe('at the least budget', () => {
  const CONTEXT = 1200;
  const ANSWER = 8;
  let engine: Engine;
  let store: MemoryStore;
  let modelId: string;
  let text: string;
  let budget: number;
  let resident: GenerateResult;
  let created: GPUBuffer[];
  let destroyed: GPUBuffer[];
  const load = () => engine.load({ modelId, gpuBudgetBytes: budget, ramBudgetBytes: 0 }, () => {});

  beforeAll(async () => {
    ({ engine, modelId, store } = await engineWith({ ...BASE, contextLength: CONTEXT }));
    budget = await leastBudget(engine, modelId);
    const { slots } = await engine.load({ modelId }, () => {});
    expect(slots).toBe(BASE.layers * BASE.expertCount);
    text = await textOf(engine, CONTEXT - ANSWER - 2);
    resident = await generate(engine, text, { maxTokens: ANSWER });
  });
  afterAll(() => engine.unload());

  /** Records the prefill buffers that are created from now on, and all buffers that are destroyed. */
  function watchBuffers(): void {
    created = [];
    destroyed = [];
    const create = GPUDevice.prototype.createBuffer;
    vi.spyOn(GPUDevice.prototype, 'createBuffer').mockImplementation(function (this: GPUDevice, descriptor) {
      const buffer = create.call(this, descriptor);
      if (descriptor.label?.startsWith('prompt ')) created.push(buffer);
      return buffer;
    });
    const destroy = GPUBuffer.prototype.destroy;
    vi.spyOn(GPUBuffer.prototype, 'destroy').mockImplementation(function (this: GPUBuffer) {
      destroyed.push(this);
      destroy.call(this);
    });
  }

  /**
   * Stops the engine within its second layer, when the last expert of that is read.
   * @returns a function that gives the number of these reads
   */
  function stopInSecondLayer(): () => number {
    const read = store.readPartsVerified.bind(store);
    let reads = 0;
    vi.spyOn(store, 'readPartsVerified').mockImplementation(async (id, record) => {
      if (isExpertKeyOf(record.key, 1) && ++reads === BASE.expertCount) {
        void engine.stop();
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
      return read(id, record);
    });
    return () => reads;
  }

  function expectBuffersReleased(): void {
    expect(created).toHaveLength(4 * 3); // four kinds, three chunks
    expect(destroyed).toEqual(expect.arrayContaining(created));
  }

  it('a prompt that nearly fills the context reads each expert once and gives the same answer to the bit', async () => {
    const { memory, slots } = await load();
    expect(slots).toBeLessThan(BASE.layers * BASE.expertCount);
    watchBuffers();
    const compiled = vi.spyOn(GPUDevice.prototype, 'createComputePipeline');
    const reads = countReads(store);
    let inPrompt: [string, number][] = [];
    const during: Promise<ExpertsReport | undefined>[] = [];
    const result = await generate(engine, text, { maxTokens: CONTEXT }, ({ type }) => {
      if (type === 'token' && inPrompt.length === 0) inPrompt = [...reads];
      if (type === 'prefill') during.push(engine.experts());
    });
    const answered = result.tokens.length;
    expect(result.promptTokens.length + answered).toBe(CONTEXT);
    expect(answered).toBeLessThan(20);
    expect(result.tokens.slice(0, ANSWER)).toEqual(resident.tokens);
    // Every expert is selected by some token.
    expect(inPrompt).toHaveLength(BASE.layers * BASE.expertCount);
    expect(inPrompt.filter(([, times]) => times !== 1)).toEqual([]);

    expect(compiled).not.toHaveBeenCalled(); // load has compiled all kernels of a long prompt

    expectBuffersReleased();
    const prefillBytes = created.reduce((sum, { size }) => sum + size, 0);
    const [first, last] = (await Promise.all(during)).map((report) => report!.memory.gpuBytes);
    // 512 positions at load, all of them now; 1024 bytes each.
    const grown = memory.gpuBytes + (CONTEXT - 512) * 1024;
    expect([first, last]).toEqual([grown + prefillBytes, grown]);
    expect(first).toBeLessThanOrEqual(budget);
  });

  it.each([
    ['a larger KV cache', 2],
    ['the prefill buffers', 2 * BASE.layers],
  ])('without memory for %s it fails, keeps the KV cache, and the next prompt is right', async (what, scopesBefore) => {
    await load();
    const start = text.slice(0, 100);
    const { promptTokens } = await generate(engine, start);
    watchBuffers();
    scopesReport(...new Array<null>(scopesBefore).fill(null), new GPUOutOfMemoryError('a test'));
    await expect(generate(engine, text)).rejects.toMatchObject({ code: 'gpu-out-of-memory', modelLost: false });
    if (what === 'the prefill buffers') expectBuffersReleased();
    const again = await generate(engine, start);
    expect(again.reusedTokens).toBe(promptTokens.length - 1);
    const whole = await generate(engine, text);
    expect(whole.tokens[0].id).toBe(resident.tokens[0].id);
  });

  it('releases the prefill buffers when it is stopped, and when an expert cannot be read', async () => {
    await load();
    watchBuffers();
    stopInSecondLayer();
    expect((await generate(engine, text)).finishReason).toBe('aborted');
    expectBuffersReleased();
    vi.restoreAllMocks();
    watchBuffers();
    vi.spyOn(store, 'readPartsVerified').mockRejectedValue(new Error('no disk'));
    await expect(generate(engine, text)).rejects.toThrow('no disk');
    expectBuffersReleased();
  });

  it('is the same to the bit after a prompt of one chunk that was stopped within a layer', async () => {
    await load();
    const countedReads = stopInSecondLayer();
    const short = await generate(engine, text.slice(-600));
    expect([short.finishReason, countedReads()]).toEqual(['aborted', BASE.expertCount]);
    vi.restoreAllMocks();
    const after = await generate(engine, text);
    expect(after.tokens).toEqual(resident.tokens.slice(0, 1));
  });
});

it('is the same to the bit after an answer that was stopped when only some experts of a layer had run', async () => {
  // With three experts per token, the first wave does not depend on residency, and misses some experts of the first
  // token.
  const { engine, modelId, store } = await engineWith({ ...BASE, expertsPerToken: 3, contextLength: 1200 });
  const least = await leastBudget(engine, modelId);
  const all = await engine.load({ modelId }, () => {});
  const text = await textOf(engine, 1100);
  const resident = await generate(engine, text);
  const expertBytes = (await store.getManifest(modelId))!.records.find(({ key }) => isExpertKey(key))!.bytes;
  const { slots } = await engine.load(
    { modelId, gpuBudgetBytes: least + 4 * expertBytes, ramBudgetBytes: 0 },
    () => {},
  );
  expect(slots).toBeLessThan(all.slots);
  let stopped = false;
  const answer = await generate(engine, text.slice(-300), { maxTokens: 500 }, ({ type }) => {
    if (type !== 'token' || vi.isMockFunction(store.readPartsVerified)) return;
    holdReads(
      store,
      (key) => isExpertKeyOf(key, 0),
      async (submitted) => {
        if (submitted === 0) return;
        stopped = true;
        void engine.stop();
        await new Promise((resolve) => setTimeout(resolve, 500));
      },
    );
  });
  expect([answer.finishReason, stopped]).toEqual(['aborted', true]);
  vi.restoreAllMocks();
  expect((await generate(engine, text)).tokens).toEqual(resident.tokens);
  await engine.unload();
});

it.each([1, 2, 3])(
  '%i experts per token: the same to the bit at every budget, each expert read once',
  async (expertsPerToken) => {
    const { engine, modelId, store } = await engineWith({ ...BASE, expertsPerToken, contextLength: 1200 });
    const least = await leastBudget(engine, modelId);
    const all = await engine.load({ modelId }, () => {});
    const text = await textOf(engine, 1100);
    const resident = await generate(engine, text, { maxTokens: 4 });
    expect(resident.promptTokens.length).toBeGreaterThan(1024);
    const expertBytes = (await store.getManifest(modelId))!.records.find(({ key }) => isExpertKey(key))!.bytes;
    for (const more of [0, 3]) {
      const { slots } = await engine.load(
        { modelId, gpuBudgetBytes: least + more * expertBytes, ramBudgetBytes: 0 },
        () => {},
      );
      expect(slots).toBeLessThan(all.slots);
      for (const again of [false, true]) {
        // The second time, other experts are resident than the first time.
        if (again) await generate(engine, text.slice(7, 60));
        const reads = countReads(store);
        const result = await generate(engine, text);
        const usedExperts = (await engine.experts())!.uses.filter(Boolean).length;
        if (!again) expect(reads.size).toBe(usedExperts);
        expect([...reads.values()].filter((times) => times !== 1)).toEqual([]);
        vi.restoreAllMocks();
        expect(result.tokens).toEqual(resident.tokens.slice(0, 1));
      }
    }
    await engine.unload();
  },
);

it('gets the same score in one window as token by token', async () => {
  const { engine, modelId } = await engineWith({ ...BASE, contextLength: 1200 });
  await engine.load({ modelId }, () => {});
  const input = { kind: 'text', text: await textOf(engine, 1100) } as const;
  const together = await engine.score({ input, context: 1200, trace: true }, () => {});
  const alone = await engine.score({ input, context: 1200, trace: true, lossy: {} }, () => {});
  expect(together.tokens).toBeGreaterThan(1024);
  expect(alone.tokens).toBe(together.tokens);
  expect(alone.nll).toBeCloseTo(together.nll, 4);
  expect(alone.trace).toEqual(together.trace);
  await engine.unload();
});
