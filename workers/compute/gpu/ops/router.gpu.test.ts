import { describe, expect, it } from 'vitest';
import { expertId, expertIndex, layerIndex } from '../../../../src/contract/ids.ts';
import { route } from '../../../reference/router.ts';
import { threefry2x32 } from '../../../reference/sample.ts';
import { compare, TOLERANCE } from '../../../reference/tolerance.ts';
import type { RouterStateOptions } from '../../compute.ts';
import { routerOptionsOf, selectExperts } from '../../cpu/router.ts';
import { decodeStepState, StepState } from '../step-state.ts';
import {
  allocate,
  getTestDevice,
  makeContext,
  randomNormal,
  readBack,
  run,
  type StateValues,
  seededRandom,
  upload,
  uploadActivations,
} from '../testing.ts';
import { GROUPS_HEADER_BYTES, NO_SLOT } from './context.ts';
import { router } from './router.ts';

interface Options extends StateValues {
  mode?: 'decode' | 'prefill';
  layer?: number;
  slotTable?: Uint32Array;
}

async function runRouter(logits: Float32Array, expertCount: number, expertsPerToken: number, options: Options = {}) {
  const { mode = 'prefill', layer = 0, slotTable = new Uint32Array(expertCount), ...state } = options;
  const gpu = await getTestDevice();
  const maxTokens = logits.length / expertCount;
  const ctx = await makeContext('rows', { tokenCount: maxTokens, ...state });
  const selectedExperts = upload(gpu, new Uint32Array(maxTokens * expertsPerToken).fill(99));
  const routingWeights = allocate(gpu, maxTokens * expertsPerToken * 4);
  const groups = upload(gpu, new Uint32Array(GROUPS_HEADER_BYTES / 4 + maxTokens * expertsPerToken).fill(77));
  await run(gpu, () =>
    router(ctx, {
      logits: uploadActivations(gpu, logits, expertCount),
      expertCount,
      expertsPerToken,
      layer,
      maxTokens,
      mode,
      selectedExperts,
      routingWeights,
      slotTable: upload(gpu, slotTable),
      groups,
      label: 'test',
    }),
  );
  const words = await readBack(gpu, groups, Uint32Array);
  return {
    selectedExperts: [...(await readBack(gpu, selectedExperts, Uint32Array)).subarray(0, maxTokens * expertsPerToken)],
    weights: (await readBack(gpu, routingWeights, Float32Array)).subarray(0, maxTokens * expertsPerToken),
    groups: [...words.subarray(0, expertsPerToken * 4)],
    assignments: [...words.subarray(GROUPS_HEADER_BYTES / 4, GROUPS_HEADER_BYTES / 4 + expertsPerToken)],
    stalled: decodeStepState((await readBack(gpu, ctx.state, Uint32Array)).buffer).stalled,
  };
}

function expected(logits: Float32Array, expertCount: number, expertsPerToken: number) {
  const routes = Array.from({ length: logits.length / expertCount }, (_, t) =>
    route(logits.subarray(t * expertCount, (t + 1) * expertCount), expertsPerToken),
  );
  return { selectedExperts: routes.flatMap((r) => r.selectedExperts), weights: routes.flatMap((r) => r.weights) };
}

describe('router', () => {
  it.each([
    [2, 1],
    [2, 2],
    [4, 2],
    [8, 1],
    [8, 2],
    [8, 4],
    [16, 2],
    [16, 16],
    [60, 4],
    [300, 8],
  ])('%i experts, %i per token', async (expertCount, expertsPerToken) => {
    const tokens = 17;
    const logits = randomNormal(seededRandom(expertCount * 100 + expertsPerToken), tokens * expertCount, 2);
    const actual = await runRouter(logits, expertCount, expertsPerToken);
    const want = expected(logits, expertCount, expertsPerToken);
    expect(actual.selectedExperts).toEqual(want.selectedExperts);
    expect(compare(actual.weights, want.weights, TOLERANCE.softmax)).toBeNull();
  });

  it('selects for numbers of tokens around those of a workgroup', async () => {
    for (const tokens of [1, 3, 63, 64, 65, 129]) {
      const logits = randomNormal(seededRandom(tokens), tokens * 8, 2);
      const actual = await runRouter(logits, 8, 2);
      const want = expected(logits, 8, 2);
      expect(actual.selectedExperts).toEqual(want.selectedExperts);
      expect(compare(actual.weights, want.weights, TOLERANCE.softmax)).toBeNull();
    }
  });

  it('prefers the lower index of equal logits', async () => {
    const random = seededRandom(5);
    const logits = Float32Array.from({ length: 40 * 8 }, () => Math.floor(random() * 3) - 1);
    logits.set([-0, 0, -0, 0, -1, -1, -1, -1]);
    const actual = await runRouter(logits, 8, 4);
    expect(actual.selectedExperts.slice(0, 4)).toEqual([0, 1, 2, 3]);
    expect(actual.selectedExperts).toEqual(expected(logits, 8, 4).selectedExperts);
  });

  it('ranks NaN last, and infinities in order', async () => {
    const { NaN: nan, NEGATIVE_INFINITY: low } = Number;
    const logits = Float32Array.from([nan, -3, low, 2, nan, nan, low, nan]);
    const actual = await runRouter(logits, 4, 3);
    expect(actual.selectedExperts).toEqual([3, 1, 2, 2, 0, 1]);
    expect([...actual.weights.subarray(0, 3)].every(Number.isFinite)).toBe(true);
  });

  it("looks up the slots of a token's experts in its layer in decode", async () => {
    const logits = Float32Array.from([0, 5, 1, 4]);
    const slotTable = new Uint32Array(12).fill(NO_SLOT);
    slotTable.set([6, 3, NO_SLOT, 9], 8);
    const actual = await runRouter(logits, 4, 2, { mode: 'decode', layer: 2, slotTable });
    expect(actual.selectedExperts).toEqual([1, 3]);
    expect(actual.groups).toEqual([3, 0, 1, 0, 9, 1, 1, 0]);
    expect(actual.assignments).toEqual([0, 1]);
    expect(actual.stalled).toBe(0);
    expect(compare(actual.weights, expected(logits, 4, 2).weights, TOLERANCE.softmax)).toBeNull();
  });

  it.each([[0], [1]])(
    'stalls at its layer if expert %i of the token is missing, and still writes its experts',
    async (missing) => {
      const slotTable = Uint32Array.from([0, 0, 0, 0, 1, 2, 3, 4]);
      slotTable[4 + [1, 3][missing]] = NO_SLOT;
      const actual = await runRouter(Float32Array.from([0, 5, 1, 4]), 4, 2, { mode: 'decode', layer: 1, slotTable });
      expect(actual.stalled).toBe(2);
      expect(actual.selectedExperts).toEqual([1, 3]);
    },
  );

  it('ignores the slot table in prefill', async () => {
    const slotTable = new Uint32Array(4).fill(NO_SLOT);
    const actual = await runRouter(randomNormal(seededRandom(1), 8), 4, 2, { slotTable });
    expect(actual.stalled).toBe(0);
    expect(new Set(actual.groups)).toEqual(new Set([77]));
  });

  it('does nothing when stalled, and routes only tokenCount tokens', async () => {
    const logits = randomNormal(seededRandom(1), 12);
    const stalled = await runRouter(logits, 4, 2, { stalled: 1 });
    expect(new Set(stalled.selectedExperts)).toEqual(new Set([99]));
    const partly = await runRouter(logits, 4, 2, { tokenCount: 2 });
    expect(partly.selectedExperts.slice(0, 4)).toEqual(expected(logits, 4, 2).selectedExperts.slice(0, 4));
    expect(partly.selectedExperts.slice(4)).toEqual([99, 99]);
  });

  it('never selects a banned expert of its layer', async () => {
    const logits = randomNormal(seededRandom(8), 20 * 8, 2);
    const banned = (0b1001_0010 << 16) | 0xff00; // of layer 2, and all of layer 1
    const actual = await runRouter(logits, 8, 2, { layer: 2, banned: [banned] });
    const without = logits.map((logit, i) => ([1, 4, 7].includes(i % 8) ? Number.NaN : logit));
    const want = expected(without, 8, 2);
    expect(actual.selectedExperts).toEqual(want.selectedExperts);
    expect(compare(actual.weights, want.weights, TOLERANCE.softmax)).toBeNull();
  });

  it('draws random experts by seed, layer and position, independent of the start of the batch', async () => {
    const logits = randomNormal(seededRandom(9), 64 * 8, 2);
    const drawn = { layer: 3, random: 1, randomSeed: 5 };
    const all = await runRouter(logits, 8, 2, { ...drawn, position: 100 });
    const want = Array.from({ length: 64 }, (_, t) => {
      const keys = Array.from({ length: 8 }, (_, expert) => (threefry2x32([5, 3], [100 + t, expert])[0] | 1) >>> 0);
      return route(keys, 2).selectedExperts;
    });
    expect(all.selectedExperts).toEqual(want.flat());
    for (const [t, [a, b]] of want.entries()) {
      const share = 1 / (1 + Math.exp(logits[t * 8 + b] - logits[t * 8 + a]));
      expect(compare(all.weights.subarray(2 * t, 2 * t + 2), [share, 1 - share], TOLERANCE.softmax)).toBeNull();
    }
    const late = await runRouter(logits.subarray(24 * 8), 8, 2, { ...drawn, position: 124 });
    expect(late.selectedExperts).toEqual(all.selectedExperts.slice(48));
    expect((await runRouter(logits, 8, 2, { ...drawn, randomSeed: 6, position: 100 })).selectedExperts).not.toEqual(
      all.selectedExperts,
    );
    expect((await runRouter(logits, 8, 2, { ...drawn, layer: 4, position: 100 })).selectedExperts).not.toEqual(
      all.selectedExperts,
    );
  });

  it.each(['prefill', 'decode'] as const)('uses only the first expertsUsed experts in %s', async (mode) => {
    const logits = Float32Array.from([0, 5, 1, 4, 3, 2, 0, 0]);
    const actual = await runRouter(logits, 8, 4, { mode, expertsUsed: 2 });
    expect(actual.selectedExperts).toEqual([1, 3, 1, 1]);
    const first = 1 / (1 + Math.exp(-1));
    expect(compare(actual.weights, [first, 1 - first, 0, 0], TOLERANCE.softmax)).toBeNull();
  });

  it('gives all weight to the experts that are used, however small their logits', async () => {
    const logits = Float32Array.from({ length: 64 * 8 }, (_, i) => (i % 2) * 30);
    const { weights } = await runRouter(logits, 8, 2, { random: 1, randomSeed: 5, expertsUsed: 1 });
    expect([...weights]).toEqual(Array.from({ length: 128 }, (_, i) => 1 - (i % 2)));
  });

  describe.each(['prefill', 'decode'] as const)('in %s', (mode) => {
    const tokens = mode === 'prefill' ? 40 : 1;
    const layer = 2;
    /** Random logits, and the selection of the CPU backend for them with the same options. */
    const both = async (expertCount: number, expertsPerToken: number, options: RouterStateOptions, seed = 11) => {
      const logits = randomNormal(seededRandom(seed), tokens * expertCount, 2);
      const slotTable = new Uint32Array(expertCount * (layer + 1));
      const state = new StepState(await getTestDevice());
      state.setRouterOptions(options);
      const words = await readBack(await getTestDevice(), state.slice, Uint32Array);
      const { tokenCount: _, ...values } = decodeStepState(words.slice().buffer);
      const more = { ...values, mode, layer, position: 70, slotTable };
      const actual = await runRouter(logits, expertCount, expertsPerToken, more);
      const routes = Array.from({ length: tokens }, (_, t) =>
        selectExperts({
          logits: logits.slice(t * expertCount, (t + 1) * expertCount),
          layer: layerIndex(layer),
          position: 70 + t,
          expertsPerToken,
          options: routerOptionsOf(options),
        }),
      );
      expect(actual.selectedExperts).toEqual(routes.flatMap(({ selectedExperts }) => [...selectedExperts]));
      const weights = routes.flatMap((route) => [...route.weights]);
      expect(compare(actual.weights, weights, TOLERANCE.softmax)).toBeNull();
      return { ...actual, exact: expected(logits, expertCount, expertsPerToken) };
    };
    const id = (expert: number, expertCount: number) => expertId(layerIndex(layer), expertIndex(expert), expertCount);

    it.each([
      [2, 2, 1, 1],
      [8, 2, 1, 1],
      [8, 4, 2, 1],
      [60, 16, 15, 1],
    ])('%i experts, %i per token: skips %i', async (expertCount, k, choicesSkipped, expertsUsed) => {
      const { selectedExperts } = await both(expertCount, k, { choicesSkipped, expertsUsed });
      if (k * 2 <= expertCount) expect(new Set(selectedExperts.slice(0, k)).size).toBe(expertsUsed);
    });

    it('replaces experts by others', async () => {
      const swap = new Map([
        [id(1, 8), expertIndex(6)],
        [id(6, 8), expertIndex(1)],
      ]);
      const { selectedExperts, exact } = await both(8, 4, { replaced: swap });
      const standIn = (expert: number): number => ({ 1: 6, 6: 1 })[expert] ?? expert;
      expect(selectedExperts).toEqual(exact.selectedExperts.map(standIn));
      const one = new Map(Array.from({ length: 8 }, (_, expert) => [id(expert, 8), expertIndex(7)]));
      expect(new Set((await both(8, 4, { replaced: one })).selectedExperts)).toEqual(new Set([7]));
    });

    it.each([0.01, 0.4, 3, 100])('noise of %f selects what the CPU backend selects', async (amount) => {
      const { selectedExperts, exact } = await both(16, 2, { noise: { amount, seed: 0xffff_fff0 } });
      if (amount >= 3 && tokens > 1) expect(selectedExperts).not.toEqual(exact.selectedExperts);
    });

    it('combines noise, bans, skipped ranks and replacements', async () => {
      const options = {
        noise: { amount: 1, seed: 3 },
        banned: [id(0, 8), id(3, 8)],
        choicesSkipped: 1,
        expertsUsed: 2,
        replaced: new Map([[id(5, 8), expertIndex(0)]]),
      };
      await both(8, 3, options, 4);
    });
  });

  it('rejects more experts per token than it supports', async () => {
    await expect(runRouter(new Float32Array(64), 64, 17)).rejects.toThrow(RangeError);
    await expect(runRouter(new Float32Array(4), 4, 5)).rejects.toThrow(RangeError);
  });
});
