/** Prompts of several chunks: each expert is read once, and nothing depends on the budget. */
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

/** About so many tokens of text, once a model is loaded. */
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

/** How often each expert's record is read from now on. */
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
  const CONTEXT = 2200;
  const ANSWER = 8;
  let engine: Engine;
  let store: MemoryStore;
  let modelId: string;
  let text: string;
  let budget: number;
  let resident: GenerateResult;
  let made: GPUBuffer[];
  let destroyed: GPUBuffer[];
  const load = () => engine.load({ modelId, gpuBudgetBytes: budget, ramBudgetBytes: 0 }, () => {});

  beforeAll(async () => {
    ({ engine, modelId, store } = await engineWith({ ...BASE, contextLength: CONTEXT }));
    budget = await leastBudget(engine, modelId);
    const { slots } = await engine.load({ modelId }, () => {});
    expect(slots).toBe(BASE.layers * BASE.expertCount);
    text = await textOf(engine, CONTEXT - ANSWER - 2);
    resident = await generate(engine, text, { maxTokens: ANSWER });
  }, 300_000);
  afterAll(() => engine.unload());

  /** Notes the rows' buffers that are made from now on, and all that are destroyed. */
  function watchBuffers(): void {
    made = [];
    destroyed = [];
    const create = GPUDevice.prototype.createBuffer;
    vi.spyOn(GPUDevice.prototype, 'createBuffer').mockImplementation(function (this: GPUDevice, descriptor) {
      const buffer = create.call(this, descriptor);
      if (descriptor.label?.startsWith('prompt ')) made.push(buffer);
      return buffer;
    });
    const destroy = GPUBuffer.prototype.destroy;
    vi.spyOn(GPUBuffer.prototype, 'destroy').mockImplementation(function (this: GPUBuffer) {
      destroyed.push(this);
      destroy.call(this);
    });
  }

  /**
   * Stops the engine amid its second layer, when the last expert of it is read; returns how many of them were asked
   * for.
   */
  function stopInSecondLayer(): () => number {
    const read = store.readPartsVerified.bind(store);
    let asked = 0;
    vi.spyOn(store, 'readPartsVerified').mockImplementation(async (id, record) => {
      if (isExpertKeyOf(record.key, 1) && ++asked === BASE.expertCount) {
        void engine.stop();
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
      return read(id, record);
    });
    return () => asked;
  }

  function expectRowsGone(): void {
    expect(made).toHaveLength(4 * 5); // four kinds, five chunks
    expect(destroyed).toEqual(expect.arrayContaining(made));
  }

  it('a prompt that all but fills the context reads each expert once, within the budget, and the answer is the same to the bit', async () => {
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
    // Every expert is chosen by some token.
    expect(inPrompt).toHaveLength(BASE.layers * BASE.expertCount);
    expect(inPrompt.filter(([, times]) => times !== 1)).toEqual([]);

    expect(compiled).not.toHaveBeenCalled(); // load has compiled what a long prompt needs, too

    expectRowsGone();
    const rows = made.reduce((sum, { size }) => sum + size, 0);
    const [first, last] = (await Promise.all(during)).map((report) => report!.memory.gpuBytes);
    // 512 positions at load, all of them now; 1024 bytes each.
    const grown = memory.gpuBytes + (CONTEXT - 512) * 1024;
    expect([first, last]).toEqual([grown + rows, grown]);
    expect(first).toBeLessThanOrEqual(budget);
  }, 300_000);

  it('without memory for the rows it ends with an error, keeps what was there, and the next one is right', async () => {
    await load();
    const start = text.slice(0, 100);
    const { promptTokens } = await generate(engine, start);
    watchBuffers();
    scopesReport(new GPUOutOfMemoryError('a test'));
    await expect(generate(engine, text)).rejects.toMatchObject({ code: 'gpu-out-of-memory' });
    expectRowsGone();
    const again = await generate(engine, start);
    expect(again.reusedTokens).toBe(promptTokens.length - 1);
    const whole = await generate(engine, text);
    expect(whole.tokens[0].id).toBe(resident.tokens[0].id);
  }, 300_000);

  it('releases the rows when it is stopped, and when an expert cannot be read', async () => {
    await load();
    watchBuffers();
    stopInSecondLayer();
    expect((await generate(engine, text)).finishReason).toBe('aborted');
    expectRowsGone();
    vi.restoreAllMocks();
    watchBuffers();
    vi.spyOn(store, 'readPartsVerified').mockRejectedValue(new Error('no disk'));
    await expect(generate(engine, text)).rejects.toThrow('no disk');
    expectRowsGone();
  }, 300_000);

  it('is the same to the bit after a prompt of one chunk that was stopped amid a layer', async () => {
    await load();
    const asked = stopInSecondLayer();
    const short = await generate(engine, text.slice(-600));
    expect([short.finishReason, asked()]).toEqual(['aborted', BASE.expertCount]);
    vi.restoreAllMocks();
    const after = await generate(engine, text);
    expect(after.tokens).toEqual(resident.tokens.slice(0, 1));
  }, 300_000);
});

it('is the same to the bit after an answer that was stopped when some experts of a layer had run', {
  timeout: 300_000,
}, async () => {
  // With three a token, the first wave does not depend on what is resident, and leaves out some of the first token's.
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
  '%i experts a token: the same to the bit at every budget, each read once',
  { timeout: 300_000 },
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
        // The second time some are resident, others than at the first.
        if (again) await generate(engine, text.slice(7, 60));
        const reads = countReads(store);
        const result = await generate(engine, text);
        const chosen = (await engine.experts())!.uses.filter(Boolean).length;
        if (!again) expect(reads.size).toBe(chosen);
        expect([...reads.values()].filter((times) => times !== 1)).toEqual([]);
        vi.restoreAllMocks();
        expect(result.tokens).toEqual(resident.tokens.slice(0, 1));
      }
    }
    await engine.unload();
  },
);

it('is scored in a window of its own, as token by token', { timeout: 300_000 }, async () => {
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
