/** Scoring, lossy options, ablations, and the report of the expert cache. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AblationOptions, RESIDENCE, type ScoreRequest } from '../../src/contract/engine-api.ts';
import { ABLATIONS, expectAblationNearFloat64 } from '../engine/ablation-testing.ts';
import type { Engine } from '../engine/engine.ts';
import { engineWith } from '../engine/testing.ts';
import type { RecordStore } from '../store/store.ts';
import { SYNTH_PRESETS } from '../synth/presets.ts';

const SENTENCE = 'the first men of that day had been there before us and could not have been the last of them ';
const TEXT = SENTENCE.repeat(3);
let engine: Engine;
let modelId: string;
let store: RecordStore;
beforeAll(async () => {
  ({ engine, modelId, store } = await engineWith(SYNTH_PRESETS.tiny));
  await engine.load({ modelId }, () => {});
});
afterAll(() => engine.unload());

const score = ({ text = TEXT, ...more }: Partial<ScoreRequest> & { text?: string } = {}) =>
  engine.score({ input: { kind: 'text', text }, context: 40, ...more }, () => {});

/** Loads the model with the least budget, so that experts have to be loaded. */
async function loadSmall(): Promise<void> {
  const error = (await engine.load({ modelId, gpuBudgetBytes: 1 }, () => {}).catch((caught: Error) => caught)) as Error;
  await engine.load({ modelId, gpuBudgetBytes: Number(/at least (\d+) MB/.exec(error.message)?.[1]) * 1e6 }, () => {});
}

describe('score', () => {
  it('gives the same log-probabilities as generation', async () => {
    const { tokens, promptTokens } = await engine.generate(
      { input: { kind: 'text', text: 'the first men' }, maxTokens: 20, sampling: { temperature: 0 }, ignoreEos: true },
      () => {},
    );
    const text = ` the first men${tokens.map((token) => token.text).join('')}`.slice(1);
    const ids = await engine.tokenize(text);
    // They are comparable only if the text is tokenized to the same tokens again, which is true of this seed.
    expect(ids).toEqual([...promptTokens.slice(1), ...tokens.map(({ id }) => id)]);
    const whole = await score({ text, context: 64 });
    const prompt = await score({ text: 'the first men', context: 64 });
    const generated = -tokens.reduce((sum, { logprob }) => sum + logprob, 0);
    expect(whole.nll * whole.tokens - prompt.nll * prompt.tokens).toBeCloseTo(generated, 2);
    expect(whole.perplexity).toBeCloseTo(Math.exp(whole.nll), 6);
  });

  it('is the same if decoded token by token, and at any budget', async () => {
    const together = await score({ trace: true });
    expect(together.trace!.selectedExperts).toHaveLength(
      (together.tokens + Math.ceil((await engine.tokenize(TEXT)).length / 39)) * 2 * 2,
    );
    const alone = await score({ lossy: {}, trace: true });
    expect(alone.nll).toBeCloseTo(together.nll, 4);
    expect(alone.trace).toEqual(together.trace);
    await loadSmall();
    const streamed = await score({ lossy: {}, trace: true });
    expect(streamed.nll).toBe(alone.nll);
    expect(streamed.cache.misses).toBeGreaterThan(0);
    await engine.load({ modelId }, () => {});
  });

  it('reports expert usage that sums to 1 in every layer', async () => {
    for (const { use, sameAny, sameFirst } of (await score()).routing) {
      expect(use.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 6);
      expect(sameAny).toBeGreaterThanOrEqual(sameFirst);
    }
  });

  it('cuts the text into the same blocks at every context, and their mean is the whole', async () => {
    const tokens = (await engine.tokenize(TEXT)).length;
    for (const context of [40, 17]) {
      const { blocks, nll, nllError, tokens: scored } = await score({ context });
      expect(blocks.length).toBe(Math.floor(tokens / 32));
      expect(blocks.reduce((sum, block) => sum + block.tokens, 0)).toBe(scored);
      expect(Math.max(...blocks.map((block) => block.tokens))).toBeLessThanOrEqual(Math.ceil(tokens / blocks.length));
      expect(blocks.reduce((sum, block) => sum + block.nll * block.tokens, 0) / scored).toBeCloseTo(nll, 9);
      expect(nllError).toBeGreaterThan(0);
    }
    // The last block alone, as the difference of two texts.
    const { blocks } = await score({ context: 250 });
    const cut = (await score({ context: 250, trace: true })).trace!.pieces;
    const before = cut
      .slice(1, 1 + tokens - blocks.at(-1)!.tokens)
      .join('')
      .slice(1);
    const shorter = await score({ text: before, context: 250 });
    const whole = await score({ context: 250 });
    expect(whole.nll * whole.tokens - shorter.nll * shorter.tokens).toBeCloseTo(
      blocks.at(-1)!.nll * blocks.at(-1)!.tokens,
      3,
    );
  });

  it('refuses a window larger than the context, and an empty text', async () => {
    await expect(score({ context: 1 })).rejects.toMatchObject({ code: 'bad-request' });
    await expect(score({ context: 1e6 })).rejects.toMatchObject({ code: 'bad-request' });
    await expect(score({ text: '' })).rejects.toMatchObject({ code: 'bad-request' });
  });
});

describe('lossy options', () => {
  it('a bias toward resident experts reduces reads and changes the likelihood', async () => {
    await loadSmall();
    const exact = await score({ lossy: {} });
    const biased = await score({ lossy: { residentBias: 100 } });
    expect(biased.cache.misses).toBeLessThan(exact.cache.misses / 4);
    expect(biased.nll).not.toBe(exact.nll);
    await engine.load({ modelId }, () => {});
  });

  it('a threshold of 1 skips every second expert, which is routing to a single expert', async () => {
    const one = await score({ lossy: { skipBelow: 1 }, trace: true });
    for (let at = 0; at < one.trace!.selectedExperts.length; at += 2)
      expect(one.trace!.selectedExperts[at + 1]).toBe(one.trace!.selectedExperts[at]);
    const none = await score({ lossy: { skipBelow: 0 }, trace: true });
    expect(none.nll).not.toBe(one.nll);
  });

  it('do not affect the next generation', async () => {
    const greedy = async () =>
      (
        await engine.generate(
          { input: { kind: 'text', text: 'the first' }, maxTokens: 12, sampling: { temperature: 0 }, ignoreEos: true },
          () => {},
        )
      ).tokens.map(({ id }) => id);
    const before = await greedy();
    await score({ lossy: { skipBelow: 1 } });
    expect(await greedy()).toEqual(before);
  });
});

describe('ablations', () => {
  const scoreWith = async (ablation: AblationOptions, more: Parameters<typeof score>[0] = {}) => {
    const { trace, nll } = await score({ ablation, trace: true, ...more });
    return { nll, selectedExperts: trace!.selectedExperts };
  };

  it('apply to a prompt as to decoded tokens', async () => {
    const exact = (await score({ text: SENTENCE })).nll;
    for (const ablation of [
      { expertsUsed: 1 },
      { choicesSkipped: 1 },
      { randomSeed: 3 },
      { noise: { amount: 2, seed: 3 } },
      { banned: [{ layer: 1, expert: 0 }] },
      { replaced: Array.from({ length: 8 }, (_, expert) => ({ expert, by: 3 })) },
    ]) {
      const together = await scoreWith(ablation, { text: SENTENCE });
      const alone = await scoreWith(ablation, { text: SENTENCE, lossy: {} });
      expect(alone.selectedExperts).toEqual(together.selectedExperts);
      expect(alone.nll).toBeCloseTo(together.nll, 4);
      expect(together.nll).not.toBe(exact);
    }
  });

  it.each(ABLATIONS)('select and predict as float64: %s', (_, ablation, route) =>
    expectAblationNearFloat64({ engine, store, modelId }, ablation, route),
  );

  it('using one expert equals skipping every second one', async () => {
    expect((await scoreWith({ expertsUsed: 1 }, { lossy: {} })).nll).toBe(
      (await score({ lossy: { skipBelow: 1 } })).nll,
    );
  });

  it('a banned expert is never used in its layer, but in others', async () => {
    const { selectedExperts } = await scoreWith({ banned: [{ layer: 1, expert: 2 }] });
    const byLayer = [new Set<number>(), new Set<number>()];
    for (const [index, expert] of selectedExperts.entries()) byLayer[Math.floor(index / 2) % 2].add(expert);
    expect(byLayer[0]).toContain(2);
    expect(byLayer[1]).not.toContain(2);
  });

  it('report the text of the tokens in a trace', async () => {
    const { trace } = await score({ text: 'the first men', trace: true });
    expect(trace!.pieces.join('').trim()).toBe('the first men');
    expect(trace!.selectedExperts).toHaveLength(trace!.pieces.length * 2 * 2);
  });

  it.each([
    [{ expertsUsed: 0 }],
    [{ expertsUsed: 3 }],
    [{ banned: [{ layer: 2, expert: 0 }] }],
    [{ banned: [0, 1, 2, 3, 4, 5, 6].map((expert) => ({ layer: 0, expert })) }],
  ])('%j is refused', async (ablation) => {
    await expect(score({ ablation })).rejects.toMatchObject({ code: 'bad-request' });
  });

  it('leave nothing in the KV cache that another request could reuse', async () => {
    const answer = async (ablation?: AblationOptions) => {
      const request = {
        input: { kind: 'text' as const, text: TEXT.slice(0, 100) },
        maxTokens: 6,
        sampling: { temperature: 0 },
        ignoreEos: true,
      };
      return (await engine.generate({ ...request, ...(ablation && { ablation }) }, () => {})).tokens.map(
        ({ id, logprob }) => ({ id, logprob }),
      );
    };
    const exact = await answer();
    const changed = await answer({ randomSeed: 1 });
    expect(changed).not.toEqual(exact);
    expect(await answer()).toEqual(exact);
    expect(await answer({ randomSeed: 1 })).toEqual(changed);
  });
});

describe('the report of the expert cache', () => {
  it('says where every expert is, which ones were used, and how long they were waited for', async () => {
    await loadSmall();
    const result = await engine.generate(
      { input: { kind: 'text', text: 'the first men' }, maxTokens: 8, sampling: { temperature: 0 }, ignoreEos: true },
      () => {},
    );
    const report = (await engine.experts())!;
    const cells = report.layerCount * report.expertCount;
    expect([report.residence.length, report.uses.length, report.newest.length]).toEqual([cells, cells, cells]);
    expect(report.residence.filter((memory) => memory === RESIDENCE.gpu)).toHaveLength(result.cache.slots);
    expect(report.uses.reduce((sum, uses) => sum + uses, 0)).toBe(result.cache.hits + result.cache.misses);
    expect(report.newest.filter(Boolean).length).toBe(report.layerCount * 2);
    expect(report.cache).toEqual(result.cache);
    expect(report.expertWaitMs).toBeGreaterThan(0);
    expect(report.computeMs).toBeGreaterThan(0);
    expect([report.promptTokens, report.tokens]).toEqual([result.promptTokens.length, 8]);
    expect(report.promptBytesRead).toBeGreaterThan(0);
    expect(report.promptBytesRead).toBeLessThanOrEqual(report.cache.bytesRead);
    expect((await engine.experts())!.elapsedMs).toBe(report.elapsedMs); // the clock stops at the end of an answer
    expect(result.timings.computeMs + result.timings.expertWaitMs).toBeLessThanOrEqual(
      result.timings.prefillMs + result.timings.decodeMs,
    );
    await score();
    expect(await engine.experts()).toMatchObject({ promptTokens: (await engine.tokenize(TEXT)).length, tokens: 0 });
    await engine.load({ modelId }, () => {});
  });
});
