import { describe, expect, it, vi } from 'vitest';
import { type SynthOptions, uniformTypes } from '../../synth/synth.ts';
import { KernelModule } from './kernels-module.ts';
import { fakeWorker, greedyTokens, importSynth, loadOnCpu, realWorker, somePrompt, startGreedy } from './testing.ts';
import type { ThreadWorker } from './thread-pool.ts';

const OPTIONS: SynthOptions = {
  layers: 3,
  embeddingLength: 256,
  feedForwardLength: 512,
  headCount: 8,
  kvHeadCount: 2,
  expertCount: 4,
  expertsPerToken: 2,
  vocabularySize: 400,
  contextLength: 512,
  seed: 5,
  layout: 'merged',
  types: { ...uniformTypes('Q4_K'), attention: 'Q8_0', down: 'Q6_K' },
};
const PROMPT = somePrompt(9, OPTIONS.vocabularySize);

describe('the tokens and their probabilities are the same to the bit', () => {
  it.each([2, 3, 5, 8])('with %i threads as with one', async (threads) => {
    const model = await importSynth(OPTIONS);
    const expected = await greedyTokens(await loadOnCpu(model), PROMPT, 12);
    const compute = await loadOnCpu(model, { threads });
    expect(await greedyTokens(compute, PROMPT, 12)).toEqual(expected);
    expect(compute.memory().gpuBytes).toBe(0);
    compute.destroy();
  });

  it.each([2, 3])('with %i threads that share memory', async (threads) => {
    const model = await importSynth(OPTIONS);
    const expected = await greedyTokens(await loadOnCpu(model), PROMPT, 40);
    const shared = { threads, createWorker: realWorker, sharesMemory: true };
    const compute = await loadOnCpu(model, shared);
    expect(await greedyTokens(compute, PROMPT, 40)).toEqual(expected);
    compute.destroy();
    // With little memory, messages that fill slots come between the steps.
    const ramBudgetBytes = compute.memory().ramBytes - 1_500_000;
    const streaming = await loadOnCpu(model, { ...shared, ramBudgetBytes });
    expect(streaming.slots).toBeLessThan(compute.slots);
    expect(await greedyTokens(streaming, PROMPT, 40)).toEqual(expected);
    streaming.destroy();
  });

  it('with three heads per thread, of which some share a key head', async () => {
    const model = await importSynth({
      ...OPTIONS,
      headCount: 12,
      embeddingLength: 384,
      kvHeadCount: 3,
      types: uniformTypes('Q8_0'),
    });
    const expected = await greedyTokens(await loadOnCpu(model), PROMPT, 6);
    for (const threads of [2, 4, 6]) {
      expect(await greedyTokens(await loadOnCpu(model, { threads }), PROMPT, 6)).toEqual(expected);
    }
  });

  it.each([1, 2])('at every memory budget down to the least, with %i threads', async (threads) => {
    const model = await importSynth(OPTIONS);
    const all = await loadOnCpu(model, { threads });
    const expected = await greedyTokens(all, PROMPT, 12);
    const slotCounts = new Set<number>();
    // From a budget that holds everything down to one that is refused.
    for (let budget = all.memory().ramBytes; ; budget -= 500_000) {
      const compute = await loadOnCpu(model, { threads, ramBudgetBytes: budget }).catch((error: Error) => error);
      if (compute instanceof Error) {
        expect(compute).toMatchObject({ code: 'ram-budget-too-small' });
        break;
      }
      expect(compute.memory().ramBytes).toBeLessThanOrEqual(budget);
      slotCounts.add(compute.slots);
      expect(await greedyTokens(compute, PROMPT, 12)).toEqual(expected);
      compute.destroy();
    }
    expect([...slotCounts]).toContain(12);
    expect(Math.min(...slotCounts)).toBe(2);
  });

  it.each([1, 2])('in several memories per thread, with %i threads', async (threads) => {
    const model = await importSynth(OPTIONS);
    const expected = await greedyTokens(await loadOnCpu(model), PROMPT, 8);
    const instances = vi.spyOn(KernelModule, 'instantiate');
    // Room for a layer's attention or for one expert.
    const compute = await loadOnCpu(model, { threads, bankBytes: 600_000 });
    expect(instances.mock.calls.length).toBeGreaterThan(3 * threads);
    instances.mockRestore();
    expect(await greedyTokens(compute, PROMPT, 8)).toEqual(expected);
  });

  it('for a prompt, whatever part of it was computed before', async () => {
    const model = await importSynth(OPTIONS);
    const prompt = somePrompt(150, OPTIONS.vocabularySize); // more than a chunk
    const compute = await loadOnCpu(model);
    const [expected] = await greedyTokens(compute, prompt, 1);
    const { signal } = new AbortController();
    for (const first of [1, 128, 149]) {
      const parts = [prompt.slice(0, first), prompt.slice(first)];
      await compute.prefill({ tokens: parts[0], position: 0, onProgress: () => {}, signal });
      await compute.prefill({ tokens: parts[1], position: first, onProgress: () => {}, signal });
      expect(await compute.sampleFirst()).toEqual(expected);
    }
  });

  it('with three experts per token at the least budget', async () => {
    const model = await importSynth({ ...OPTIONS, expertsPerToken: 3, expertCount: 8 });
    const all = await loadOnCpu(model);
    const expected = await greedyTokens(all, PROMPT, 6);
    const error = await loadOnCpu(model, { ramBudgetBytes: 1 }).catch((failure: Error) => failure);
    const least = Number(/at least (\d+) MB/.exec((error as Error).message)![1]) * 1e6;
    expect(await greedyTokens(await loadOnCpu(model, { ramBudgetBytes: least }), PROMPT, 6)).toEqual(expected);
  });
});

it('where memory is shared, a prompt needs no message for a step', async () => {
  const types: string[] = [];
  const createWorker = (): ThreadWorker => {
    const worker = realWorker();
    const { postMessage } = worker;
    worker.postMessage = (message, transfer) => {
      types.push(message.type);
      postMessage(message, transfer);
    };
    return worker;
  };
  const model = await importSynth(OPTIONS);
  const prompt = somePrompt(150, OPTIONS.vocabularySize); // more than a chunk
  const expected = await greedyTokens(await loadOnCpu(model), prompt, 3);
  const compute = await loadOnCpu(model, { threads: 2, createWorker, sharesMemory: true });
  types.length = 0;
  expect(await greedyTokens(compute, prompt, 3)).toEqual(expected);
  expect(types.filter((type) => type !== 'attend')).toEqual([]);
  compute.destroy();
});

describe('the KV cache', () => {
  it.each([1, 2, 5])('can be copied out of %i threads and into another number of threads', async (threads) => {
    const model = await importSynth(OPTIONS);
    const from = await loadOnCpu(model, { threads });
    const expected = await greedyTokens(from, PROMPT, 4);
    const positionBytes = 2 * 32 * 2; // key heads, headDim, f16
    const regions = ['keys' as const, 'values' as const].flatMap((kind) =>
      [0, 1, 2].flatMap((layer) => [
        { layer, kind, offset: 0, size: 5 * positionBytes },
        { layer, kind, offset: 5 * positionBytes, size: 4 * positionBytes },
      ]),
    );
    const to = await loadOnCpu(model, { threads: 2 });
    await greedyTokens(to, [...PROMPT].reverse(), 1); // another prompt, which the restored bytes replace
    await to.kvCache.reserve(PROMPT.length);
    let index = 0;
    for await (const bytes of from.kvCache.read(regions)) to.kvCache.write(regions[index++], bytes);
    expect(index).toBe(12);
    const { signal } = new AbortController();
    startGreedy(to);
    // The last token of the prompt again: it attends to the restored positions.
    await to.prefill({ tokens: PROMPT.slice(-1), position: PROMPT.length - 1, onProgress: () => {}, signal });
    expect((await to.sampleFirst()).id).toBe(expected[0].id);
  });
});

describe('failures', () => {
  it('a worker that dies ends the answer with an error that says so', async () => {
    const workers: ReturnType<typeof fakeWorker>[] = [];
    const createWorker = () => {
      workers.push(fakeWorker());
      return workers.at(-1)!;
    };
    const compute = await loadOnCpu(await importSynth(OPTIONS), { threads: 2, createWorker });
    const answer = greedyTokens(compute, PROMPT, 400);
    setTimeout(() => workers[0].onerror?.({ message: 'killed' } as ErrorEvent), 30);
    await expect(answer).rejects.toMatchObject({ code: 'worker-failed', message: expect.stringContaining('killed') });
    expect(compute.failure.aborted).toBe(true);
    expect(compute.failure.reason).toMatchObject({ code: 'worker-failed' });
  });

  it('a worker with shared memory that fails ends the answer', async () => {
    const workers: ThreadWorker[] = [];
    const createWorker = () => {
      workers.push(realWorker());
      return workers.at(-1)!;
    };
    const model = await importSynth(OPTIONS);
    const compute = await loadOnCpu(model, { threads: 2, createWorker, sharesMemory: true });
    await greedyTokens(compute, PROMPT, 3);
    workers[0].terminate();
    setTimeout(() => workers[0].onerror?.({ message: 'killed' } as ErrorEvent), 30);
    await expect(greedyTokens(compute, PROMPT, 3)).rejects.toMatchObject({ code: 'worker-failed' });
  });

  it('a message that arrives while tokens are computed is handled before the answer is complete', async () => {
    const compute = await loadOnCpu(await importSynth(OPTIONS));
    let isHandled = false;
    await greedyTokens(compute, PROMPT, 1);
    setImmediate(() => {
      isHandled = true;
    });
    // Each token takes less time than the interval at which messages are handled; all of them take much more.
    for (let answer = 0; answer < 100 && !isHandled; answer++) {
      const decoder = compute.startDecoding(PROMPT.length, new AbortController().signal);
      for (let token = 0; token < 50; token++) await decoder.nextToken(0);
    }
    expect(isHandled).toBe(true);
  });

  it('an abort ends a prompt at its next layer', async () => {
    const compute = await loadOnCpu(await importSynth(OPTIONS));
    const controller = new AbortController();
    let layers = 0;
    const onProgress = (): void => {
      layers++;
      controller.abort();
    };
    const { signal } = controller;
    await expect(compute.prefill({ tokens: PROMPT, position: 0, onProgress, signal })).rejects.toMatchObject({
      code: 'aborted',
    });
    expect(layers).toBe(1);
    const again = await greedyTokens(compute, PROMPT, 3);
    expect(again).toEqual(await greedyTokens(await loadOnCpu(await importSynth(OPTIONS)), PROMPT, 3));
  });
});

it('experts are read as slices of the threads, and not in parts', async () => {
  const model = await importSynth(OPTIONS);
  const read = vi.spyOn(model.records, 'readExpert');
  const compute = await loadOnCpu(model, { threads: 2 });
  expect(read.mock.calls.length).toBeGreaterThanOrEqual(compute.slots);
  for (const [, , , form] of read.mock.calls) {
    expect(form).not.toHaveProperty('parts');
    expect(form?.slices).toHaveLength(2);
  }
  compute.destroy();
});
