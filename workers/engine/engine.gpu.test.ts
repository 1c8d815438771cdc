/**
 * The engine's behaviour: reuse of the KV cache, stopping, stop texts, errors. exactness.gpu.test.ts checks its
 * numbers.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GenerateEvent, GenerateRequest, GenerateResult } from '../../src/contract/engine-api.ts';
import { SYNTH_PRESETS } from '../synth/presets.ts';
import type { SynthOptions } from '../synth/synth.ts';
import type { Engine } from './engine.ts';
import { engineWith } from './testing.ts';

const OPTIONS: SynthOptions = { ...SYNTH_PRESETS.tiny, contextLength: 1200 };
let engine: Engine;
let modelId: string;
beforeAll(async () => {
  ({ engine, modelId } = await engineWith(OPTIONS));
  await engine.load({ modelId }, () => {});
});
afterAll(() => engine.unload());

const generate = (
  text: string,
  more: Partial<GenerateRequest> = {},
  onEvent: (event: GenerateEvent) => void = () => {},
): Promise<GenerateResult> =>
  engine.generate(
    { input: { kind: 'text', text }, maxTokens: 8, sampling: { temperature: 0 }, ignoreEos: true, ...more },
    onEvent,
  );

const idsOf = ({ tokens }: GenerateResult): number[] => tokens.map(({ id }) => id);

describe('the KV cache', () => {
  const LONG = 'the first men of that day had been there before us and '.repeat(12);

  it('is reused for a longer prompt, with the same answer as without it', async () => {
    await generate(LONG);
    const events: GenerateEvent[] = [];
    const reused = await generate(`${LONG} could`, {}, (event) => events.push(event));
    const computed = events.find((event) => event.type === 'prefill');
    expect(computed?.tokensTotal).toBeLessThan(10);
    await engine.load({ modelId }, () => {});
    const fresh = await generate(`${LONG} could`);
    expect(idsOf(reused)).toEqual(idsOf(fresh));
    for (const [i, { logprob }] of reused.tokens.entries()) expect(logprob).toBeCloseTo(fresh.tokens[i].logprob, 3);
  });

  it('grows beyond a page and a batch without changing the answer: a prompt of 500 words', async () => {
    const prompt = 'x '.repeat(500);
    const whole = await generate(prompt, { maxTokens: 60 });
    expect(whole.promptTokens.length + 60).toBeGreaterThan(1024);
    const middle = await generate(prompt, { maxTokens: 30 });
    expect(idsOf(middle)).toEqual(idsOf(whole).slice(0, 30));
  });
});

describe('sampling', () => {
  it('gives the same text for the same seed, and other text for another seed', async () => {
    const draw = (seed: number) => generate('the first', { maxTokens: 16, sampling: { temperature: 1.5, seed } });
    const [one, same, other] = [await draw(1), await draw(1), await draw(2)];
    expect(idsOf(same)).toEqual(idsOf(one));
    expect(idsOf(other)).not.toEqual(idsOf(one));
  });

  it('reports the likeliest tokens, likeliest first, including the greedy one', async () => {
    const { tokens } = await generate('the first', { topLogprobs: 5 });
    for (const { id, logprob, top } of tokens) {
      expect(top).toHaveLength(5);
      expect(top[0]).toMatchObject({ id, logprob });
      expect(top.map((entry) => entry.logprob)).toEqual(top.map((entry) => entry.logprob).sort((a, b) => b - a));
    }
  });

  it('never samples a token with a large negative bias', async () => {
    const [first] = idsOf(await generate('the first'));
    const biased = await generate('the first', { sampling: { temperature: 0, logitBias: { [first]: -100 } } });
    expect(idsOf(biased)).not.toContain(first);
  });
});

describe('the end of an answer', () => {
  it('is before a stop text, which is not part of the answer', async () => {
    const { text } = await generate('the first', { maxTokens: 30 });
    const stop = text.slice(12, 16);
    const stopped = await generate('the first', { maxTokens: 30, stop: [stop] });
    expect(stopped.text).toBe(text.slice(0, text.indexOf(stop)));
    expect(stopped.finishReason).toBe('stop');
    expect(stopped.tokens.map((token) => token.text).join('')).toBe(stopped.text);
  });

  it('follows soon after a stop, and the engine works afterwards', async () => {
    const events: GenerateEvent[] = [];
    const result = await generate('the first', { maxTokens: 500 }, (event) => {
      events.push(event);
      if (events.filter(({ type }) => type === 'token').length === 3) void engine.stop();
    });
    expect(result.finishReason).toBe('aborted');
    expect(result.tokens.length).toBeLessThan(8);
    expect((await generate('the first')).finishReason).toBe('length');
  });

  it('is where the context is full', async () => {
    await engine.load({ modelId, context: 20 }, () => {});
    const result = await generate('the first men of that day', { maxTokens: 500 });
    expect(result.promptTokens.length + result.tokens.length).toBe(20);
    expect(result.finishReason).toBe('length');
    await expect(generate('the first men '.repeat(20))).rejects.toMatchObject({ code: 'context-overflow' });
    await engine.load({ modelId }, () => {});
  });
});

describe('tiers', () => {
  it('evicted experts are loaded from main memory, not from the store', async () => {
    const tooSmall = (await engine
      .load({ modelId, gpuBudgetBytes: 1 }, () => {})
      .catch((error: Error) => error)) as Error;
    const gpuBudgetBytes = Number(/at least (\d+) MB/.exec(tooSmall.message)?.[1]) * 1e6;
    await engine.load({ modelId, gpuBudgetBytes }, () => {});
    const fromStore = await generate('the first men of that day', { maxTokens: 24 });
    await engine.load({ modelId, gpuBudgetBytes, ramBudgetBytes: 1e9 }, () => {});
    const withRam = await generate('the first men of that day', { maxTokens: 24 });
    expect(idsOf(withRam)).toEqual(idsOf(fromStore));
    // Which predictions come in time depends on the clock, so misses may differ a little.
    expect(withRam.cache.misses).toBeGreaterThan(0);
    expect(withRam.cache.bytesRead).toBeLessThan(fromStore.cache.bytesRead);
    expect(withRam.memory.ramBytes).toBeGreaterThan(0);
    await engine.load({ modelId }, () => {});
  });
});

describe('what computes', () => {
  it('is the GPU if the request says so, and the report says why', async () => {
    const loaded = await engine.load({ modelId, compute: 'gpu' }, () => {});
    expect(loaded.compute).toEqual({ kind: 'gpu', reason: 'requested' });
    expect(loaded.adapter?.software).toBe(true);
  });
});

describe('invalid calls', () => {
  it.each([
    [{ maxTokens: 0 }, 'bad-request'],
    [{ topLogprobs: 21 }, 'bad-request'],
  ])('%j: %s', async (more, code) => {
    await expect(generate('the first', more)).rejects.toMatchObject({ code });
  });

  it('a backend that does not exist, half a thread, too short a context and a negative budget are refused', async () => {
    for (const more of [
      { compute: 'tpu' as 'gpu' },
      { threads: 0 },
      { threads: 1.5 },
      { context: 1 },
      { gpuBudgetBytes: -1 },
    ])
      await expect(engine.load({ modelId, ...more }, () => {})).rejects.toMatchObject({ code: 'bad-request' });
    await engine.load({ modelId }, () => {});
  });

  it('an unknown model, a second call while one runs, and no loaded model: each has its error code', async () => {
    const running = generate('the first', { maxTokens: 20 });
    await expect(generate('the second')).rejects.toMatchObject({ code: 'busy' });
    await running;
    await expect(engine.load({ modelId: 'nothing' }, () => {})).rejects.toMatchObject({ code: 'model-not-found' });
    await expect(generate('the first')).rejects.toMatchObject({ code: 'no-model-loaded' });
    await engine.load({ modelId }, () => {});
  });

  it('damaged weights are refused', async () => {
    const damaged = await engineWith(OPTIONS);
    const record = (await damaged.store.getManifest(damaged.modelId))!.records.find(({ key }) => key === 'L1.E5')!;
    const bytes = await damaged.store.readRecord(damaged.modelId, record);
    bytes[100] ^= 255;
    await damaged.store.putRecord(damaged.modelId, record.key, bytes);
    await expect(damaged.engine.load({ modelId: damaged.modelId }, () => {})).rejects.toMatchObject({
      code: 'record-damaged',
    });
  });
});

it('refuses a context that cannot fit before it computes anything for it', async () => {
  const other = await engineWith(OPTIONS);
  const request = { modelId: other.modelId, context: 1e9, gpuBudgetBytes: 100e6 };
  await expect(other.engine.load(request, () => {})).rejects.toMatchObject({ code: 'gpu-budget-too-small' });
});
